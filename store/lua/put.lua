-- KEYS record, head, quota
-- ARGV jti, blob, iat, exp, kid, client, family, subject, grants allowed, bytes allowed, incarnation for a new head
-- Answers {jti, ok | exists | quota | expired | corrupt | head}; corrupt is the quota. Everything is read and judged before the first write,
-- because Redis takes nothing back when a script fails half-way.
local jti, blob, exp = ARGV[1], ARGV[2], ARGV[4]
local now = tonumber(redis.call('TIME')[1])
if tonumber(exp) <= now then return {jti, 'expired'} end
if redis.call('EXISTS', KEYS[1]) == 1 then return {jti, 'exists'} end

local seq = redis.pcall('HGET', KEYS[2], 'seq')
local failed = head_error(jti, seq)
if failed then return failed end
seq = seq or '0'
if not is_seq(seq) then return {jti, 'head'} end

local mine = bucket_end(tonumber(ARGV[3]), tonumber(exp))
local grants, bytes, last, ended = 1, #blob, tonumber(mine), {}
local mine_grants, mine_bytes = 1, #blob
local buckets = redis.call('HGETALL', KEYS[3])
for i = 1, #buckets, 2 do
  local at, g, b = parse_count(buckets[i]), parse_usage(buckets[i + 1])
  if not at or not g or not b then return {jti, 'corrupt'} end
  if at <= now then
    ended[#ended + 1] = buckets[i]
  else
    grants, bytes, last = grants + g, bytes + b, math.max(last, at)
    if buckets[i] == mine then mine_grants, mine_bytes = g + 1, b + #blob end
  end
end
local max_grants, max_bytes = tonumber(ARGV[9]), tonumber(ARGV[10])
if (max_grants ~= 0 and grants > max_grants) or (max_bytes ~= 0 and bytes > max_bytes) then return {jti, 'quota'} end

-- HSET comes first: of a script's writes, a Redis that is out of memory refuses only the first.
redis.call('HSET', KEYS[1], 'v', '1', 'blob', blob,
  'clear', table.concat({seq, ARGV[3], exp, ARGV[5], ARGV[6], ARGV[7], ARGV[8]}, ' '))
redis.call('EXPIREAT', KEYS[1], exp)
redis.call('HSETNX', KEYS[2], 'seq', seq)
redis.call('HSETNX', KEYS[2], 'incarnation', ARGV[11])
redis.call('HSET', KEYS[3], mine, format_usage(mine_grants, mine_bytes))
for _, field in ipairs(ended) do redis.call('HDEL', KEYS[3], field) end
redis.call('EXPIREAT', KEYS[3], string.format('%.0f', last))
return {jti, 'ok'}

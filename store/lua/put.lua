-- KEYS record, head, floors, tomb, quota
-- ARGV jti, blob, iat, exp, kid, client, family, subject, since: seq, since: incarnation, grants allowed, bytes allowed
-- Answers {jti, ok | closed | expired | revoked | exists | quota | corrupt | head}; corrupt is the quota. Everything is
-- read and judged before the first write, because Redis takes nothing back when a script fails half-way.
local jti, blob, iat, exp = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local h, failed = open_head(jti, KEYS[2])
if failed then return failed end
local now = tonumber(redis.call('TIME')[1])
if tonumber(exp) <= now then return {jti, 'expired'} end

local floors, damaged = read_floors(jti, KEYS[3], ARGV[5], ARGV[6], ARGV[7], ARGV[8])
if damaged then return damaged end
local all, before, key, client, family, subject = unpack(floors)
-- What the issuer knew in another incarnation is worth nothing; if it knew nothing, all that it rests on began here.
local since = 0
if ARGV[10] == h.incarnation then since = parse_count(ARGV[9]) or 0 elseif ARGV[10] == '' then since = h.began end
if redis.call('EXISTS', KEYS[4]) == 1 or tonumber(iat) < before or key > 0 or family > 0
  or math.max(all, client, subject) > since then return {jti, 'revoked'} end
if redis.call('EXISTS', KEYS[1]) == 1 then return {jti, 'exists'} end

local mine = bucket_end(tonumber(iat), tonumber(exp))
local grants, bytes, last, ended = 1, #blob, tonumber(mine), {}
local mine_grants, mine_bytes = 1, #blob
local buckets = redis.call('HGETALL', KEYS[5])
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
local max_grants, max_bytes = tonumber(ARGV[11]), tonumber(ARGV[12])
if (max_grants ~= 0 and grants > max_grants) or (max_bytes ~= 0 and bytes > max_bytes) then return {jti, 'quota'} end

-- HSET comes first: of a script's writes, a Redis that is out of memory refuses only the first.
redis.call('HSET', KEYS[1], 'v', '1', 'blob', blob,
  'clear', table.concat({format_count(h.seq), iat, exp, ARGV[5], ARGV[6], ARGV[7], ARGV[8]}, ' '))
redis.call('EXPIREAT', KEYS[1], exp)
redis.call('HSET', KEYS[5], mine, format_usage(mine_grants, mine_bytes))
for _, field in ipairs(ended) do redis.call('HDEL', KEYS[5], field) end
redis.call('EXPIREAT', KEYS[5], format_count(last))
return {jti, 'ok'}

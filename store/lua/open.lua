-- KEYS head, floors, log, journals, votes, dummy
-- ARGV shard, replication id, incarnation, fresh id, lease, missing: 0 | 1, seconds to keep the entry,
--   seconds that a token lives at most, fresh lease id, issuers...
-- Answers {shard, ok, ended: 0 | 1} or {shard, conflict | head}.
local shard, node = ARGV[1], master()
local h, failed = read_head(shard, KEYS[1])
if failed then return failed end
if node ~= ARGV[2] or (h and h.opened == node) then return {shard, 'conflict'} end
local voted, whole, listed = true, true, {}
for i = 10, #ARGV do
  listed[ARGV[i]] = true
  local word = string.match(redis.call('HGET', KEYS[5], ARGV[i]) or '', '^' .. node .. ' (%l+)$')
  voted, whole = voted and word, whole and word == 'whole'
end
if h and not voted and ARGV[6] ~= '1' then return {shard, 'conflict'} end

-- An issuer that was taken off the list vouches no more. While a token may live that it revoked, nobody knows whether that
-- is in here: a gap. After it, or when all has ended, it is forgotten.
local time, life, strangers = redis.call('TIME'), tonumber(ARGV[8]), {}
local enrolled = redis.call('HGETALL', KEYS[4])
for i = 1, #enrolled, 2 do
  if not listed[enrolled[i]] then
    local _, _, at = read_enrolment(KEYS[4], enrolled[i])
    strangers[#strangers + 1] = enrolled[i]
    whole = whole and at and life > 0 and tonumber(time[1]) - at > life
  end
end

redis.call('DEL', KEYS[6]) -- so that a Redis that is out of memory lets the script write on
local ended, empty = not h or not whole, not h
if empty then
  -- A new count begins at the clock's microseconds: above every count before it, so that whatever was left of another
  -- time is older than everything now. Journals vouch for nothing here.
  h = {seq = tonumber(time[1]) * 1000000 + tonumber(time[2]), lease = tonumber(ARGV[5]), sleep = tonumber(ARGV[5])}
  redis.call('DEL', KEYS[3], KEYS[4])
end
if ended then
  -- The entry is not kept for long: whoever misses it is told to flush, which is what it says.
  local entry = table.concat({h.id or '-', ARGV[4], 'before', time[1], format_count(tonumber(time[1]) + tonumber(ARGV[7]))}, ' ')
  h.seq, h.id = h.seq + 1, ARGV[4]
  failed = shard_error(shard, redis.pcall('HSET', KEYS[2], 'all', format_count(h.seq)))
    or shard_error(shard, redis.pcall('XADD', KEYS[3], format_count(h.seq) .. '-0', 'e', entry))
  if failed then return failed end
end
redis.call('HSET', KEYS[1], 'seq', format_count(h.seq), 'id', h.id, 'incarnation', ARGV[3], 'opened', node,
  'lease', format_count(h.lease), 'sleep', format_count(h.sleep), 'began', format_count(empty and h.seq or h.began), 'since', time[1],
  'lease_id', ARGV[9])
for _, issuer in ipairs(strangers) do redis.call('HDEL', KEYS[4], issuer) end
redis.call('DEL', KEYS[5])
return {shard, 'ok', ended and '1' or '0'}

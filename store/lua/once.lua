-- KEYS name, head, dummy
-- ARGV name, when it can first have been taken, when it ends, seconds of slack
-- Answers {name, ok | exists | forgotten | expired | closed | head}. What was taken in another incarnation may be lost, so
-- whoever could have taken the name before this one began is told so, and takes nothing.
local name, from, ends, slack = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local h, failed = open_head(name, KEYS[2])
if failed then return failed end
local now = tonumber(redis.call('TIME')[1])
if not h.since then -- opened by a version that did not say when: now is not too early
  redis.call('DEL', KEYS[3])
  redis.call('HSET', KEYS[2], 'since', format_count(now))
  h.since = now
end
if from - slack <= h.since then return {name, 'forgotten'} end
ends = ends + slack
if ends <= now then return {name, 'expired'} end
redis.call('DEL', KEYS[3]) -- so that a Redis that is out of memory lets the script write on: clients revoke by such names
if not redis.call('SET', KEYS[1], '', 'NX', 'EXAT', format_count(ends)) then return {name, 'exists'} end
return {name, 'ok'}

-- KEYS head, dummy    ARGV shard, lease id believed, lease, sleep, fresh lease id
-- Answers {shard, ok | conflict | closed | head}.
local h, failed = open_head(ARGV[1], KEYS[1])
if failed then return failed end
if h.lease_id ~= ARGV[2] then return {ARGV[1], 'conflict'} end
redis.call('DEL', KEYS[2]) -- so that a Redis that is out of memory lets the script write on
redis.call('HSET', KEYS[1], 'lease', ARGV[3], 'sleep', ARGV[4], 'lease_id', ARGV[5])
return {ARGV[1], 'ok'}

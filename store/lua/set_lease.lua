-- KEYS head, dummy    ARGV shard, lease believed, lease, sleep
-- Answers {shard, ok | conflict | closed | head}.
local h, failed = open_head(ARGV[1], KEYS[1])
if failed then return failed end
if format_count(h.lease) ~= ARGV[2] then return {ARGV[1], 'conflict'} end
redis.call('DEL', KEYS[2]) -- so that a Redis that is out of memory lets the script write on
redis.call('HSET', KEYS[1], 'lease', ARGV[3], 'sleep', ARGV[4])
return {ARGV[1], 'ok'}

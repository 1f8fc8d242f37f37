-- KEYS head, index, entries, dummy    ARGV name, version believed, next version, blob, whole: 0 | 1, and of each entry:
-- key, version, blob
-- Answers {name, ok | conflict}. Versions are compared as text, and are below 2^53.
local name = ARGV[1]
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[2] then return {name, 'conflict'} end
redis.call('DEL', KEYS[4]) -- so that a Redis that is out of memory lets the script write on: a client must be disabled
if ARGV[5] == '1' then redis.call('DEL', KEYS[2], KEYS[3]) end
for i = 6, #ARGV, 3 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1] .. ' ' .. ARGV[i + 2])
  redis.call('ZADD', KEYS[2], ARGV[i + 1], ARGV[i])
end
redis.call('HSET', KEYS[1], 'version', ARGV[3], 'blob', ARGV[4])
return {name, 'ok'}

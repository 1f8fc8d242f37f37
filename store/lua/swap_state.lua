-- KEYS state, dummy    ARGV name, version believed, next version, blob
-- Answers {name, ok | conflict}. Versions are compared as text: Lua's numbers are not exact beyond 2^53.
local name = ARGV[1]
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[2] then return {name, 'conflict'} end
redis.call('DEL', KEYS[2]) -- so that a Redis that is out of memory lets the script write on: a leaked key must be withdrawn
redis.call('HSET', KEYS[1], 'version', ARGV[3], 'blob', ARGV[4])
return {name, 'ok'}

-- KEYS head, journals, votes, dummy    ARGV shard, issuer, journal, replication id, whole | gap
-- Answers {shard, ok | conflict | head}. Only a journal that is enrolled can say that nothing is missing.
local shard, issuer = ARGV[1], ARGV[2]
local h, failed = read_head(shard, KEYS[1])
if failed then return failed end
local node = master()
if node ~= ARGV[4] or (h and h.opened == node) then return {shard, 'conflict'} end
if ARGV[5] == 'whole' and read_enrolment(KEYS[2], issuer) ~= ARGV[3] then return {shard, 'conflict'} end
redis.call('DEL', KEYS[4]) -- so that a Redis that is out of memory lets the script write on
redis.call('HSET', KEYS[3], issuer, node .. ' ' .. ARGV[5])
return {shard, 'ok'}

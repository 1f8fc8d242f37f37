-- KEYS head, journals, dummy    ARGV shard, issuer, journal, the one that it takes the place of
-- Answers {shard, ok | conflict | closed | head}. A journal that is enrolled already keeps what it has done. What a process
-- sent that has died, and that comes after its successor has enrolled, finds another in place.
local _, failed = open_head(ARGV[1], KEYS[1])
if failed then return failed end
local was = read_enrolment(KEYS[2], ARGV[2])
if was ~= ARGV[3] then
  if (was or '') ~= ARGV[4] then return {ARGV[1], 'conflict'} end
  redis.call('DEL', KEYS[3]) -- so that a Redis that is out of memory lets the script write on
  write_enrolment(KEYS[2], ARGV[2], ARGV[3], 0)
end
return {ARGV[1], 'ok'}

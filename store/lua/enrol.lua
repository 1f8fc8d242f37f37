-- KEYS head, journals, dummy    ARGV shard, issuer, journal
-- Answers {shard, ok | closed | head}. A journal that is enrolled already keeps what it has done.
local _, failed = open_head(ARGV[1], KEYS[1])
if failed then return failed end
if read_enrolment(KEYS[2], ARGV[2]) ~= ARGV[3] then
  redis.call('DEL', KEYS[3]) -- so that a Redis that is out of memory lets the script write on
  write_enrolment(KEYS[2], ARGV[2], ARGV[3], 0)
end
return {ARGV[1], 'ok'}

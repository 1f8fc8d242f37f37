-- Put in front of the scripts that use enrolments: the value of an issuer in journals is '<journal id> <done> <at>', at
-- being when it was last written, in seconds of Redis' clock. Answers all three, or nil.
local function read_enrolment(key, issuer)
  local journal, done, at = string.match(redis.call('HGET', key, issuer) or '', '^([%w_-]+) (%d+) (%d+)$')
  done, at = parse_count(done), parse_count(at)
  if done and at then return journal, done, at end
end

local function write_enrolment(key, issuer, journal, done)
  redis.call('HSET', key, issuer, table.concat({journal, format_count(done), redis.call('TIME')[1]}, ' '))
end

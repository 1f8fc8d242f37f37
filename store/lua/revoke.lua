-- KEYS head, floors, log, journals, record (of other kinds than token: dummy), tomb, dummy
-- ARGV number, number that must have been done before it, kind, name, until, issuer, journal, fence, fresh id,
--   quota key of the empty client, seconds of slack, entries to clear away, seconds to keep an entry at least,
--   the issuer's time in seconds
-- Answers {number, ok, done, seq, id, sleep, found} or {number, closed | conflict | gap | clock | head}.
-- A batch is a pipeline of these. Redis goes on with the next when one has failed, so each makes sure by itself that the
-- one before it was done.
local number, kind, name, expires = ARGV[1], ARGV[3], ARGV[4], ARGV[5]
local h, failed = read_head(number, KEYS[1])
if failed then return failed end
local node, fence = master(), ARGV[8]
if fence == '' then fence = h and h.opened end
if not node or node ~= fence then return {number, 'closed'} end
if not h then return {number, 'conflict'} end
local journal, done = read_enrolment(KEYS[4], ARGV[6])
if journal ~= ARGV[7] then return {number, 'conflict'} end
if done < tonumber(ARGV[2]) then return {number, 'gap'} end
-- Whether a token is dead anyway, and until when a floor matters, was judged by the issuer's clock; records die by this one.
local now, slack = tonumber(redis.call('TIME')[1]), tonumber(ARGV[11])
if math.abs(now - tonumber(ARGV[14])) > slack then return {number, 'clock'} end

local function answer(found)
  return {number, 'ok', format_count(done), format_count(h.seq), h.id, format_count(h.sleep), found}
end
if tonumber(number) <= done then
  -- Already done, and written again all the same: WAIT waits for what its own connection wrote.
  redis.call('DEL', KEYS[7])
  write_enrolment(KEYS[4], ARGV[6], journal, done)
  return answer('0')
end

-- DEL is the first write: whatever fails after it, the record is gone; and after a DEL, even of nothing, a Redis that is
-- out of memory lets the script write on.
local clear = redis.pcall('HGET', KEYS[5], 'clear')
local size = redis.pcall('HSTRLEN', KEYS[5], 'blob')
local found = redis.call('DEL', KEYS[5])

expires = format_count(math.max(tonumber(expires), now + tonumber(ARGV[13])))
if kind == 'token' and found == 0 and redis.call('EXISTS', KEYS[6]) == 1 then
  -- Revoked before: whoever has read that entry keeps nothing of it, so the log need not grow.
  redis.call('EXPIREAT', KEYS[6], expires, 'GT')
  done = tonumber(number)
  write_enrolment(KEYS[4], ARGV[6], journal, done)
  return answer('0')
end

local seq = h.seq + 1
local field, value = kind .. ':' .. name, seq
if kind == 'before' then
  field = 'all'
  -- Of now: everything that exists ends, and nothing that is put after it, whatever the issuers' clocks say. Of the past:
  -- by the time of issue, which is some issuer's clock. They may differ by twice what Check allows, so a little more ends.
  local moment = tonumber(name)
  if moment < now - slack then
    field, value = 'before', math.max(moment + slack, parse_count(redis.pcall('HGET', KEYS[2], 'before') or '0') or 0)
  end
end
if kind == 'token' then
  redis.call('SET', KEYS[6], '', 'EXAT', expires)
else
  failed = shard_error(number, redis.pcall('HSET', KEYS[2], field, format_count(value)))
  if failed then return failed end
end
if kind == 'key' then
  local keys = redis.call('HGET', KEYS[2], 'keys')
  if not string.find(' ' .. (keys or '') .. ' ', ' ' .. name .. ' ', 1, true) then
    redis.call('HSET', KEYS[2], 'keys', keys and keys .. ' ' .. name or name)
  end
end

failed = shard_error(number, redis.pcall('XADD', KEYS[3], format_count(seq) .. '-0', 'e', table.concat({h.id, ARGV[9], kind, name, expires}, ' ')))
if failed then return failed end
h.seq, h.id, done = seq, ARGV[9], tonumber(number)
redis.call('HSET', KEYS[1], 'seq', format_count(seq), 'id', h.id)
write_enrolment(KEYS[4], ARGV[6], journal, done)

-- The oldest entries go when they can name nothing alive any more, and with them the floors that they set, unless raised
-- since; those of keys, of everything and of time stay.
pcall(function()
  for _, entry in ipairs(redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', ARGV[12])) do
    local k, n, ends = string.match(entry[2][2], '^[%w_-]+ [%w_-]+ (%l+) ([%w_-]+) (%d+)$')
    if tonumber(ends) > now then return end
    redis.call('XDEL', KEYS[3], entry[1])
    if k == 'client' or k == 'family' or k == 'subject' then
      local f = k .. ':' .. n
      if (redis.call('HGET', KEYS[2], f) or '') .. '-0' == entry[1] then redis.call('HDEL', KEYS[2], f) end
    end
  end
end)
if found == 1 and kind == 'token' then give_back(ARGV[10], clear, size) end
return answer(kind == 'token' and format_count(found) or '0')

-- Put in front of the scripts that judge records by floors. Answers the floors {all, before, key, client, family,
-- subject} that concern a record, 0 where there is none; or nil and a reply.
local function read_floors(name, key, kid, client, family, subject)
  local f = redis.pcall('HMGET', key, 'all', 'before', 'key:' .. kid, 'client:' .. client, 'family:' .. family, 'subject:' .. subject)
  local failed = shard_error(name, f)
  if failed then return nil, failed end
  for i = 1, 6 do
    f[i] = not f[i] and 0 or parse_count(f[i]) -- most are not there
    if not f[i] then return nil, {name, 'head'} end
  end
  return f
end

-- Whether a revocation after its birth names a record: before is compared with when it was issued, all others are seqs.
local function is_dead(f, born, iat)
  return iat < f[2] or math.max(f[1], f[3], f[4], f[5], f[6]) > born
end

-- Put in front of the scripts that show records. Answers a line of jti, iat, exp, kid, client, family, subject, bytes,
-- revoked: 0 | 1,
-- refresh: 0 | 1; nil if there is no record; nil and a reply.
local function listed(name, jti, record, floors)
  local clear, turn = unpack(redis.call('HMGET', record, 'clear', 'turn'))
  if not clear and redis.call('EXISTS', record) == 0 then return nil end
  local born, iat, exp, kid, client, family, subject = parse_clear(clear or '')
  if not born then return nil, {name, 'corrupt'} end
  local f, failed = read_floors(name, floors, kid, client, family, subject)
  if failed then return nil, failed end
  local dead = is_dead(f, tonumber(born), tonumber(iat)) and '1' or '0'
  return table.concat({jti, iat, exp, kid, client, family, subject, format_count(redis.call('HSTRLEN', record, 'blob')), dead,
    turn and '1' or '0'}, ' ')
end

-- Put in front of the scripts that put records. keys: record, head, floors, tomb, quota; args: jti, blob, iat, exp, kid, client,
-- family, subject, since: seq, since: incarnation, grants allowed, bytes allowed, name of the first refresh token or ''.
-- Everything is read and judged before the first write, because Redis takes nothing back when a script fails half-way: answers
-- what writes the record, or nil and a reply.
local function admitted(name, h, keys, args)
  local blob, iat, exp = args[2], args[3], args[4]
  local now = tonumber(redis.call('TIME')[1])
  if tonumber(exp) <= now then return nil, {name, 'expired'} end

  local floors, damaged = read_floors(name, keys[3], args[5], args[6], args[7], args[8])
  if damaged then return nil, damaged end
  local all, before, key, client, family, subject = unpack(floors)
  -- What the issuer knew in another incarnation is worth nothing; if it knew nothing, all that it rests on began here.
  local since = 0
  if args[10] == h.incarnation then since = parse_count(args[9]) or 0 elseif args[10] == '' then since = h.began end
  if redis.call('EXISTS', keys[4]) == 1 or tonumber(iat) < before or key > 0 or family > 0
    or math.max(all, client, subject) > since then return nil, {name, 'revoked'} end
  if redis.call('EXISTS', keys[1]) == 1 then return nil, {name, 'exists'} end

  local mine = bucket_end(tonumber(iat), tonumber(exp))
  local grants, bytes, last, ended = 1, #blob, tonumber(mine), {}
  local mine_grants, mine_bytes = 1, #blob
  local buckets = redis.call('HGETALL', keys[5])
  for i = 1, #buckets, 2 do
    local at, g, b = parse_count(buckets[i]), parse_usage(buckets[i + 1])
    if not at or not g or not b then return nil, {name, 'corrupt'} end
    if at <= now then
      ended[#ended + 1] = buckets[i]
    else
      grants, bytes, last = grants + g, bytes + b, math.max(last, at)
      if buckets[i] == mine then mine_grants, mine_bytes = g + 1, b + #blob end
    end
  end
  local max_grants, max_bytes = tonumber(args[11]), tonumber(args[12])
  if (max_grants ~= 0 and grants > max_grants) or (max_bytes ~= 0 and bytes > max_bytes) then return nil, {name, 'quota'} end

  return function()
    -- HSET comes first: of a script's writes, a Redis that is out of memory refuses only the first.
    redis.call('HSET', keys[1], 'v', '1', 'blob', blob,
      'clear', table.concat({format_count(h.seq), iat, exp, args[5], args[6], args[7], args[8]}, ' '))
    if args[13] ~= '' then redis.call('HSET', keys[1], 'turn', format_turn(args[13], '-', 0, '-')) end
    redis.call('EXPIREAT', keys[1], exp)
    redis.call('HSET', keys[5], mine, format_usage(mine_grants, mine_bytes))
    for _, field in ipairs(ended) do redis.call('HDEL', keys[5], field) end
    redis.call('EXPIREAT', keys[5], format_count(last))
  end
end


-- Put in front of the scripts that read records. Takes the field clear apart: born, iat, exp, kid, client, family,
-- subject, all text; or nil if it is not what put.lua writes.
local function parse_clear(clear)
  return string.match(clear, '^(%d+) (%d+) (%d+) ([%w_-]+) ([%w_-]+) ([%w_-]+) ([%w_-]+)$')
end


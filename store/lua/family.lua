-- Put in front of the scripts that put or turn records of refresh tokens. Their field turn is '<current> <previous> <at>
-- <request>': the names of the token that may be used and of the one before it, when that was used, in milliseconds of Redis'
-- clock, and what for. Of all older tokens nothing is kept: whatever is neither of the two was used before.
local function parse_turn(text)
  local current, previous, at, request = string.match(text, '^([%w_-]+) ([%w_-]+) (%d+) ([%w_-]+)$')
  at = parse_count(at)
  if at then return current, previous, at, request end
end

local function format_turn(current, previous, at, request)
  return table.concat({current, previous, format_count(at), request}, ' ')
end


-- ARGV: ids. Returns for each {state, decided, reason, vote, ...}; an empty list where there is nothing.
local now = now_ms()
local out = {}
for i, id in ipairs(ARGV) do
  local one = {}
  if settle(id, now) then
    local f = redis.call('HMGET', key(id), 'state', 'decided', 'reason', 'votes')
    one = {f[1], f[2] or '', f[3] or ''}
    for n = 1, tonumber(f[4]) do
      one[#one + 1] = redis.call('HGET', key(id), 'vote:' .. int(n)) or ''
    end
  end
  out[i] = one
end
return out

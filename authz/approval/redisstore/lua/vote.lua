-- ARGV: id, vote, next state, votes seen, reason. Returns {'ok'} | {'absent'} | {'state', n} | {'conflict'}.
local id, vote, to, seen, reason = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local now = now_ms()
local state = settle(id, now)
if not state then return {'absent'} end
if state ~= PENDING then return {'state', int(state)} end
local n = tonumber(redis.call('HGET', key(id), 'votes'))
if n ~= seen then return {'conflict'} end
redis.call('HSET', key(id), 'vote:' .. int(n + 1), vote, 'votes', int(n + 1))
if to == PENDING then
  changed(id)
else
  if to == REJECTED then redis.call('HSET', key(id), 'reason', reason) end
  move(id, PENDING, to, now)
end
return {'ok'}

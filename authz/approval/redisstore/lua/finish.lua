-- ARGV: id, next state, reason. Withdraws what is open, consumes what is approved. Returns {'ok'} | {'absent'} | {'state', n}.
local id, to, reason = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local now = now_ms()
local state = settle(id, now)
if not state then return {'absent'} end
if not (state == APPROVED or (state == PENDING and to == WITHDRAWN)) then return {'state', int(state)} end
if to == WITHDRAWN then redis.call('HSET', key(id), 'reason', reason) end
move(id, state, to, now)
return {'ok'}

// Package redisstore keeps approvals in Redis 7 or newer, or Valkey.
//
// It owns the keys under "sluice:{approval}:" and the Lua scripts that move approvals atomically. The hash tag keeps
// all of them on one node of a cluster. It refuses to know what a quorum is: it stores votes and states as it is told,
// and it is not trusted with more.
//
//	sluice:{approval}:a:ID       hash: body, state, created, expires, seq, votes, vote:N, reason, decided
//	sluice:{approval}:all        sorted set, by order of creation
//	sluice:{approval}:state:N    the same, those in state N
//	sluice:{approval}:deadlines  sorted set, by deadline, those that are open
//	sluice:{approval}:changes    sorted set, by order of change
//	sluice:{approval}:created    counter
//	sluice:{approval}:seq        counter
//	sluice:{approval}:changed    channel; the message is an id
//
// Times are milliseconds since the epoch, of the server's clock. Deadlines are fields, not TTLs; a TTL only takes
// approvals away long after their end.
package redisstore

// Package approval holds risky actions until people agree.
//
// It owns the states of an approval, votes and their signatures, the quorum, the digests that bind an approval to exact
// bytes, the holder's side (Desk, Hold) and the people's side (Service). It refuses to know what is held: whoever holds
// names the fields of the digest and shows the action in words.
//
//	holder: Desk.Hold ─▶ Store ◀─ Service.Decide: people, each vote signed (Signer)
//	           │           │
//	           └─ Wait ◀─ Feed: changes, one poller per process
//	holder: Consume = VerifyQuorum over its own copy ─▶ Store.Consume, once
//
// The store is not trusted: it may lose, delay or forge. The holder keeps what it asked for in memory and believes of
// the store only votes that a key of its Keyring has signed. So whoever can write to the store can stop an approval but
// not give one.
package approval

// Package audit checks a directory of recordings for damage, offline, with nothing but the directory and public keys.
//
// It owns what counts as damage and how it is said: which chunk of which session was changed, removed, reordered, added
// or cut short, whether the log is the one that was signed (and that an older checkpoint grew into), and whether each
// held statement that was executed had its quorum. It refuses to know how votes are verified (QuorumCheck) and what
// bytes in a recording mean. It writes nothing, and trusts nothing in the directory but what the log's key signed.
//
//	checkpoint (signature) ─▶ bundles and tiles (root) ─▶ leaves ─▶ chunk files (digests) ─▶ events
//	                                                        what is past the checkpoint: journal, unsigned leaves: the tail
//
// The tail is what a recorder that runs, or was killed, has not signed yet. It is reported, and is no damage; nobody can
// prove it yet. A directory may be checked while somebody records into it.
package audit

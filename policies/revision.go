package policies

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"google.golang.org/protobuf/proto"
)

// Revision identifies a target together with the named rules: an approval is bound to it, so that a change of either
// ends what was approved under the old ones, and a change of anything else does not. 32 bytes.
func (p *Policy) Revision(target string, rules []string) ([]byte, error) {
	h := sha256.New()
	messages := []proto.Message{p.Target(target)}
	for _, r := range p.bundle.GetRules() {
		if slices.Contains(rules, r.GetName()) {
			messages = append(messages, r)
		}
	}
	var buf []byte
	for _, m := range messages {
		var err error
		// Sizes go first, so that no two lists of messages read the same.
		if buf, err = (proto.MarshalOptions{Deterministic: true}).Marshal(m); err != nil {
			return nil, err
		}
		h.Write(binary.AppendUvarint(nil, uint64(len(buf))))
		h.Write(buf)
	}
	return h.Sum(nil), nil
}

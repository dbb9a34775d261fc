package resources

import (
	"google.golang.org/protobuf/proto"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// Stable is the name of the one bundle resource: the first ring.
const Stable = "stable"

// MaxBundle is the largest bundle that is sent and taken, in bytes of its encoding.
const MaxBundle = 8 << 20

// BundleType is the type URL under which processors get the bundle.
func BundleType() string {
	return "type.googleapis.com/" + string(proto.MessageName((*policyv1.Bundle)(nil)))
}

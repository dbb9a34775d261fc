package envoy

import (
	"bytes"
	"fmt"

	envoy_config_bootstrap_v3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// YAML writes a bootstrap as Envoy's documentation does: block style, the proto's own field names
// and order, the same bytes for the same bootstrap.
func YAML(b *envoy_config_bootstrap_v3.Bootstrap) ([]byte, error) {
	return document(b)
}

func document(m proto.Message) ([]byte, error) {
	json, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("envoy configuration: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(json, &doc); err != nil {
		return nil, fmt.Errorf("envoy configuration: %w", err)
	}
	blockStyle(&doc)
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return nil, fmt.Errorf("envoy configuration: %w", err)
	}
	return out.Bytes(), nil
}

// blockStyle takes away what JSON left behind. An empty mapping stays as it is: {} has no block
// form. A string that would read as another type is quoted by the encoder.
func blockStyle(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode || len(n.Content) > 0 {
		n.Style = 0
	}
	for _, child := range n.Content {
		blockStyle(child)
	}
}

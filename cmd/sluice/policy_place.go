package main

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/identity"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/source"
	"github.com/sluicegate/sluice/xds/resources"
)

// place finds what a control plane would refuse although the policy itself has no fault: files that are not there or not
// what they should be, and what its configuration does not offer. Without --config all is offered.
func (c *policyCheck) place(r source.Result) (faults *source.Faults, warnings []string, err error) {
	unix := func(name string) *configv1.Socket {
		return &configv1.Socket{Address: &configv1.Socket_Unix{Unix: "/" + name}}
	}
	control, secrets := &configv1.Control{Postgres: unix("p"), Http: unix("h"), EgressDir: "/e"}, c.Dir
	if c.Config != "" {
		config, err := readConfig(c.Config)
		if err != nil {
			return nil, nil, err
		}
		if config.GetControl() == nil {
			return nil, nil, &usageError{fmt.Errorf("--config: %s is not of a control plane", c.Config)}
		}
		control = config.GetControl()
		if dir := config.GetProcess().GetSecretsDir(); dir != "" && dir != control.GetPolicyDir() {
			secrets = dir
		}
	}
	options := controlResources(control, identity.Sources{BaseDir: c.Dir}.Resolve)
	options.NoSecrets = c.NoFiles
	var refused policies.Faults
	if _, err := resources.Build(r.Bundle, resources.Node{ID: "check"}, options); err != nil && !errors.As(err, &refused) {
		return nil, nil, fmt.Errorf("the control plane would refuse it: %w", err)
	}
	warnings = []string{}
	if c.NoFiles {
		return r.Locate(refused), warnings, nil
	}
	missing := missingFiles(r.Bundle, secrets)
	if c.Config == "" || secrets == c.Dir {
		return r.Locate(append(refused, missing...)), warnings, nil
	}
	if maybe := r.Locate(missing); maybe != nil {
		for _, m := range maybe.Faults {
			warnings = append(warnings, m.String()+" (of the processor's secrets_dir)")
		}
	}
	return r.Locate(refused), warnings, nil
}

// missingFiles are those that a bundle names and that cannot be read, each with the field that names it. What only a
// process can know, its environment, is not looked at.
func missingFiles(b *policyv1.Bundle, dir string) policies.Faults {
	var out policies.Faults
	sources := identity.Sources{BaseDir: dir}
	walkSources(b.ProtoReflect(), "", func(field string, src *policyv1.DataSource) {
		if src.GetFile() == "" || strings.Contains(field, "certificate") || strings.Contains(field, ".http.tls.ca") {
			return // none, or the control plane's own to read
		}
		if _, err := sources.Resolve(src); err != nil {
			out = append(out, &policies.Fault{Field: field, Message: err.Error()})
		}
	})
	return out
}

// walkSources visits the data sources in a message.
func walkSources(m protoreflect.Message, field string, visit func(field string, src *policyv1.DataSource)) {
	if src, ok := m.Interface().(*policyv1.DataSource); ok {
		visit(field, src)
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.Message() == nil || fd.IsMap() {
			return true
		}
		name := strings.TrimPrefix(field+"."+string(fd.Name()), ".")
		if !fd.IsList() {
			walkSources(v.Message(), name, visit)
			return true
		}
		for i := range v.List().Len() {
			walkSources(v.List().Get(i).Message(), fmt.Sprintf("%s[%d]", name, i), visit)
		}
		return true
	})
}

package pgmodel

import "encoding/binary"

type prepared struct {
	text string
	// statement is nil for an empty text.
	statement *Statement
}

type portal struct {
	run
	text string
	done bool
	// bare: its planning failed.
	bare bool
	// failed: an error of its transaction took its resources.
	failed bool
}

const longestName = 63

// name takes a name; what PostgreSQL would cut is an error where a censor stands.
func (b *Backend) name(raw string) (string, *failure) {
	if len(raw) <= longestName {
		return raw, nil
	}
	if b.censored() {
		return "", &failure{code: "42622"}
	}
	return raw[:longestName], nil
}

func (b *Backend) censored() bool { return b.censor.RefuseText != nil }

// parse is exec_parse_message.
func (b *Backend) parse(body []byte) *failure {
	raw, rest := cstring(body)
	text, _ := cstring([]byte(rest))
	name, err := b.name(raw)
	if err != nil {
		return err
	}
	b.start()
	if name == "" {
		delete(b.statements, "")
	}
	if b.censor.RefuseText != nil && b.censor.RefuseText(text) {
		return refused()
	}
	list, ok := Parse(text)
	switch {
	case !ok:
		return unparsed(text)
	case len(list) > 1:
		return &failure{code: "42601"}
	case len(list) == 1 && b.block == blockFailed && !list[0].exits():
		return &failure{code: "25P02"}
	case name != "" && b.statements[name] != nil:
		return &failure{code: "42P05"}
	}
	p := &prepared{text: text}
	if len(list) == 1 {
		p.statement = list[0]
	}
	b.statements[name] = p
	b.put([]byte{'1', 0, 0, 0, 4})
	return nil
}

// bind is exec_bind_message.
func (b *Backend) bind(body []byte) *failure {
	rawPortal, rest := cstring(body)
	rawName, rest := cstring([]byte(rest))
	portalName, err := b.name(rawPortal)
	if err != nil {
		return err
	}
	name, err := b.name(rawName)
	if err != nil {
		return err
	}
	values := bindValues([]byte(rest))
	b.start()
	p := b.statements[name]
	if p == nil {
		return &failure{code: "26000"}
	}
	if b.censor.RefuseValue != nil && b.censor.RefuseValue(p.text, values) {
		return refused()
	}
	needs := 0
	if p.statement != nil {
		needs = p.statement.parameters
	}
	switch {
	case len(values) != needs:
		return &failure{code: "08P01"}
	case b.block == blockFailed && (p.statement == nil || !p.statement.exits() || needs > 0):
		return &failure{code: "25P02"}
	case portalName != "" && b.portals[portalName] != nil:
		return &failure{code: "42P03"}
	}
	made := &portal{text: p.text, bare: true}
	b.portals[portalName] = made // planning that fails leaves it behind, empty
	if p.statement != nil && p.statement.failsAtPlan != "" {
		return &failure{code: p.statement.failsAtPlan}
	}
	made.run, made.bare = run{statement: p.statement}, false
	if needs > 0 {
		made.value = string(values[0])
	}
	b.put([]byte{'2', 0, 0, 0, 4})
	return nil
}

// bindValues reads the parameters of a Bind, from its formats on.
func bindValues(b []byte) (values [][]byte) {
	formats := int(binary.BigEndian.Uint16(b))
	b = b[2+2*formats:]
	count := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	for range count {
		n := int(binary.BigEndian.Uint32(b))
		values = append(values, b[4:4+n])
		b = b[4+n:]
	}
	return values
}

// describe is exec_describe_statement_message and exec_describe_portal_message.
func (b *Backend) describe(body []byte) *failure {
	raw, _ := cstring(body[1:])
	name, err := b.name(raw)
	if err != nil {
		return err
	}
	b.start()
	var s *Statement
	if body[0] == 'S' {
		p := b.statements[name]
		if p == nil {
			return &failure{code: "26000"}
		}
		s = p.statement
	} else {
		p := b.portals[name]
		if p == nil {
			return &failure{code: "34000"}
		}
		s = p.statement
	}
	if b.block == blockFailed && s != nil && s.action == actionRows {
		return &failure{code: "25P02"}
	}
	if body[0] == 'S' {
		b.put(parameterDescription(s))
	}
	if s != nil && s.action == actionRows {
		b.put(rowDescription(s.fields))
	} else {
		b.put([]byte{'n', 0, 0, 0, 4})
	}
	return nil
}

// execute is exec_execute_message.
func (b *Backend) execute(body []byte) *failure {
	raw, rest := cstring(body)
	most := int(int32(binary.BigEndian.Uint32([]byte(rest)))) //nolint:gosec // a signed 32-bit number on the wire
	name, err := b.name(raw)
	if err != nil {
		return err
	}
	p := b.portals[name]
	if p != nil && p.statement != nil {
		b.start()
	}
	switch {
	case p == nil, p.bare && b.censored(): // a guard takes what never was granted for what does not exist
		return &failure{code: "34000"}
	case p.statement == nil:
		b.put([]byte{'I', 0, 0, 0, 4})
		return nil
	case b.block == blockFailed && !p.statement.exits():
		return &failure{code: "25P02"}
	case p.done, p.failed:
		return &failure{code: "55000"}
	}
	p.done = p.statement.action != actionRows
	more, err := b.run(&p.run, max(0, most))
	if err != nil {
		return err
	}
	if p.statement.action != actionCommit && p.statement.action != actionRollback {
		b.pipelining = true
	}
	if more {
		b.put([]byte{'s', 0, 0, 0, 4})
	} else {
		b.put(complete(p.tag))
	}
	return nil
}

// close drops a name; one that does not exist is no error.
func (b *Backend) close(body []byte) *failure {
	raw, _ := cstring(body[1:])
	name, err := b.name(raw)
	if err != nil {
		return err
	}
	if body[0] == 'S' {
		delete(b.statements, name)
	} else {
		delete(b.portals, name)
	}
	b.put([]byte{'3', 0, 0, 0, 4})
	return nil
}

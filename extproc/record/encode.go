package record

import (
	"encoding/binary"
	"slices"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
)

// Field numbers of record.proto and approval.proto, for the events that are encoded by hand: those that each statement
// of a database has. Reflection would cost them more than all else that recording does.
const (
	eventSequence  = 1
	eventAt        = 2
	eventStatement = 4
	eventDecision  = 5
	eventExecution = 8
	eventData      = 9
	eventOutcome   = 10

	statementNumber        = 1
	statementText          = 2
	statementParameters    = 3
	statementPreparedName  = 4
	statementProtocol      = 5
	statementCommands      = 6
	statementPairs         = 7
	statementResultFormats = 8

	parameterType   = 1
	parameterValue  = 2
	parameterIsNull = 3

	pairEffect  = 1
	pairObject  = 2
	pairReached = 3

	decisionNumber        = 1
	decisionVerdict       = 2
	decisionRules         = 3
	decisionMasks         = 4
	decisionBundleVersion = 5
	decisionCode          = 6
	decisionMessage       = 7
	decisionDetail        = 8
	decisionHint          = 9

	executionNumber        = 1
	executionApprovalID    = 2
	executionBundleVersion = 3

	dataDirection = 1
	dataBytes     = 2
	dataNumber    = 3

	outcomeNumber     = 1
	outcomeCommandTag = 2
	outcomeCode       = 3
	outcomeMessage    = 4
	outcomeRows       = 5
	outcomeBytes      = 6
	outcomeTook       = 7

	timeSeconds = 1 // of a Timestamp and of a Duration
	timeNanos   = 2
)

// maxByHand is the longest event that is encoded by hand, in bytes, about: moving a longer one costs more than reflection.
const maxByHand = 16 << 10

// message is a message of protobuf as it is being written.
type message struct {
	b []byte
	// end is how long b may become. past: it would have, or a string is no UTF-8, which protobuf refuses.
	end  int
	past bool
}

// event appends an event, without its size. It reports false, and what it appended is worth nothing, if that is a kind
// that is not encoded by hand, or must not be.
func (m *message) event(sequence uint64, at time.Time, e *recordv1.Event) bool {
	m.varint(eventSequence, sequence)
	t := m.open(eventAt)
	m.varint(timeSeconds, uint64(at.Unix()))     //nolint:gosec // G115: two's complement, as protobuf has it
	m.varint(timeNanos, uint64(at.Nanosecond())) //nolint:gosec // G115: never negative
	m.close(t)
	switch k := e.GetKind().(type) {
	case *recordv1.Event_Statement:
		at := m.open(eventStatement)
		m.statement(k.Statement)
		m.close(at)
	case *recordv1.Event_Decision:
		at := m.open(eventDecision)
		m.decision(k.Decision)
		m.close(at)
	case *recordv1.Event_Execution:
		at := m.open(eventExecution)
		m.varint(executionNumber, k.Execution.GetNumber())
		m.text(executionApprovalID, k.Execution.GetApprovalId())
		m.text(executionBundleVersion, k.Execution.GetBundleVersion())
		m.close(at)
	case *recordv1.Event_Outcome:
		if len(k.Outcome.GetTrailers()) > 0 {
			return false
		}
		at := m.open(eventOutcome)
		m.outcome(k.Outcome)
		m.close(at)
	default:
		return false
	}
	return !m.past
}

func (m *message) statement(s *recordv1.Statement) {
	m.varint(statementNumber, s.GetNumber())
	m.text(statementText, s.GetText())
	for _, p := range s.GetParameters() {
		m.parameter(p)
	}
	m.text(statementPreparedName, s.GetPreparedName())
	m.varint(statementProtocol, uint64(s.GetProtocol())) //nolint:gosec // G115: an enum
	m.texts(statementCommands, s.GetCommands())
	for _, p := range s.GetPairs() {
		at := m.open(statementPairs)
		m.varint(pairEffect, uint64(p.GetEffect())) //nolint:gosec // G115: an enum
		m.text(pairObject, p.GetObject())
		m.varint(pairReached, protowire.EncodeBool(p.GetReached()))
		m.close(at)
	}
	if formats := s.GetResultFormats(); len(formats) > 0 {
		at := m.open(statementResultFormats)
		for _, f := range formats {
			m.b = protowire.AppendVarint(m.b, uint64(f))
		}
		m.close(at)
	}
}

func (m *message) parameter(p *approvalv1.Parameter) {
	at := m.open(statementParameters)
	m.text(parameterType, p.GetType())
	m.text(parameterValue, p.GetValue())
	m.varint(parameterIsNull, protowire.EncodeBool(p.GetIsNull()))
	m.close(at)
}

func (m *message) decision(d *recordv1.Decision) {
	m.varint(decisionNumber, d.GetNumber())
	m.varint(decisionVerdict, uint64(d.GetVerdict())) //nolint:gosec // G115: an enum
	m.texts(decisionRules, d.GetRules())
	m.texts(decisionMasks, d.GetMasks())
	m.text(decisionBundleVersion, d.GetBundleVersion())
	m.text(decisionCode, d.GetCode())
	m.text(decisionMessage, d.GetMessage())
	m.text(decisionDetail, d.GetDetail())
	m.text(decisionHint, d.GetHint())
}

func (m *message) outcome(o *recordv1.Outcome) {
	m.varint(outcomeNumber, o.GetNumber())
	m.text(outcomeCommandTag, o.GetCommandTag())
	m.text(outcomeCode, o.GetCode())
	m.text(outcomeMessage, o.GetMessage())
	m.varint(outcomeRows, o.GetRows())
	m.varint(outcomeBytes, o.GetBytes())
	if took := o.GetTook(); took != nil {
		at := m.open(outcomeTook)
		m.varint(timeSeconds, uint64(took.GetSeconds())) //nolint:gosec // G115: two's complement, as protobuf has it
		m.varint(timeNanos, uint64(took.GetNanos()))     //nolint:gosec // G115: likewise
		m.close(at)
	}
}

func (m *message) varint(field protowire.Number, v uint64) { m.b = appendVarint(m.b, field, v) }

func (m *message) text(field protowire.Number, s string) {
	if s != "" {
		m.element(field, s)
	}
}

// texts has each of them, empty ones too.
func (m *message) texts(field protowire.Number, list []string) {
	for _, s := range list {
		m.element(field, s)
	}
}

func (m *message) element(field protowire.Number, s string) {
	if m.past = m.past || len(s) > m.end-len(m.b) || !utf8.ValidString(s); m.past {
		return
	}
	m.b = protowire.AppendString(protowire.AppendTag(m.b, field, protowire.BytesType), s)
}

// open begins a message within the message, close ends it: its length goes in front of it once it is known, in one byte
// mostly.
func (m *message) open(field protowire.Number) (at int) {
	m.b = append(protowire.AppendTag(m.b, field, protowire.BytesType), 0)
	return len(m.b)
}

func (m *message) close(at int) {
	n := uint64(len(m.b) - at) //nolint:gosec // G115: a size
	if more := protowire.SizeVarint(n) - 1; more > 0 {
		m.b = slices.Grow(m.b, more)
		m.b = m.b[:len(m.b)+more]
		copy(m.b[at+more:], m.b[at:])
	}
	binary.PutUvarint(m.b[at-1:], n)
}

// A field that is zero is not written (proto3).
func sizeVarint(field protowire.Number, v uint64) int {
	if v == 0 {
		return 0
	}
	return protowire.SizeTag(field) + protowire.SizeVarint(v)
}

func appendVarint(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendLength(b []byte, field protowire.Number, n int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(n)) //nolint:gosec // G115: a size
}

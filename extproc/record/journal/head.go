package journal

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// HeadFile is the signed head of the journal, within a recorder's directory.
const HeadFile = "head"

const (
	headTitle = "sluice journal head 1"
	// headSize is the file's size in bytes: it is written in place, as one page.
	headSize = 4096
)

// Head says how far the journal was when it was last synced. It is signed by the log's key, so that who can write to the
// recordings, and has not the key, cannot take away the end of the journal.
type Head struct {
	// Segment is the newest one's number.
	Segment uint64
	// Bytes of it were synced; Chain is the chain up to there. 0 Bytes: nothing in the journal was needed any more.
	Bytes int64
	Chain Chain
}

// ErrHead says that a head is not what the key signed.
var ErrHead = errors.New("journal: no head of this key")

func (h Head) text() string {
	return fmt.Sprintf("%s\n%d %d %x\n", headTitle, h.Segment, h.Bytes, h.Chain)
}

// sign makes the file's content.
func (h Head) sign(signer note.Signer) ([]byte, error) {
	b, err := note.Sign(&note.Note{Text: h.text()}, signer)
	if err != nil {
		return nil, fmt.Errorf("journal: head: %w", err)
	}
	if len(b) > headSize {
		return nil, fmt.Errorf("journal: head: %d bytes, at most %d: the processor's name is too long", len(b), headSize)
	}
	return append(b, make([]byte, headSize-len(b))...), nil
}

// ReadHead reads the head and checks who signed it: ErrHead if not the key, fs.ErrNotExist if there is none.
func ReadHead(root *os.Root, key note.Verifier) (Head, error) {
	f, err := root.Open(HeadFile)
	if err != nil {
		return Head{}, fmt.Errorf("journal: head: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, headSize+1))
	if err != nil {
		return Head{}, fmt.Errorf("journal: head: %w", err)
	}
	text := strings.TrimRight(string(b), "\x00")
	if text == "" { // made, and not written
		return Head{}, fmt.Errorf("journal: head: %w", fs.ErrNotExist)
	}
	n, err := note.Open([]byte(text), note.VerifierList(key))
	if err != nil {
		return Head{}, fmt.Errorf("%w: %w", ErrHead, err)
	}
	var h Head
	var chain string
	if _, err := fmt.Sscanf(n.Text, headTitle+"\n%d %d %s\n", &h.Segment, &h.Bytes, &chain); err != nil {
		return Head{}, fmt.Errorf("%w: %w", ErrHead, err)
	}
	sum, err := hex.DecodeString(chain)
	if err != nil || len(sum) != len(h.Chain) {
		return Head{}, fmt.Errorf("%w: malformed", ErrHead)
	}
	h.Chain = Chain(sum)
	if h.text() != n.Text {
		return Head{}, fmt.Errorf("%w: malformed", ErrHead)
	}
	return h, nil
}

// WriteHead makes the file, or overwrites it, durably.
func WriteHead(root *os.Root, h Head, signer note.Signer) error {
	f, err := openHead(root)
	if err != nil {
		return err
	}
	err = h.write(f, signer)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// openHead opens the file for writing; that it exists is durable.
func openHead(root *os.Root) (*os.File, error) {
	_, err := root.Lstat(HeadFile)
	fresh := errors.Is(err, fs.ErrNotExist)
	f, err := root.OpenFile(HeadFile, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: head: %w", err)
	}
	if fresh {
		d, err := root.Open(".")
		if err == nil {
			err = errors.Join(d.Sync(), d.Close())
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("journal: head: %w", err), f.Close())
		}
	}
	return f, nil
}

func (h Head) write(f *os.File, signer note.Signer) error {
	b, err := h.sign(signer)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		return fmt.Errorf("journal: head: %w", err)
	}
	return nil
}

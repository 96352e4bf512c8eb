// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/instance/credentials"
	"github.com/antdb-operator/antdb-operator/internal/instance/engine"
	"github.com/antdb-operator/antdb-operator/internal/scram"
)

// optionsName is the file in a template that holds the options of the initdb that made it.
const optionsName = "initdb.options"

// fromTemplate fills folders with an empty database that initdb made when the image was built: a copy takes an eighth
// of the processor time. It ends with what initdb itself would have made.
func (m Maker) fromTemplate(ctx context.Context, data, wal, password string) error {
	made, err := os.ReadFile(filepath.Join(m.Template, optionsName))
	if err != nil {
		return err
	}
	if want := strings.Join(engine.InitOptions(), " "); strings.TrimSpace(string(made)) != want {
		return fmt.Errorf("it was made with the options %q, wanted are %q", strings.TrimSpace(string(made)), want)
	}
	if err := copyTemplate(m.Template, data, wal); err != nil {
		return err
	}
	if err := renewControlFile(filepath.Join(data, "global", "pg_control"), time.Now()); err != nil {
		return err
	}
	verifier, err := scram.Verifier(password, credentials.Salt())
	if err != nil {
		return err
	}
	return m.Engine.Adopt(ctx, data, verifier)
}

func copyTemplate(template, data, wal string) error {
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	if err := errors.Join(os.CopyFS(data, os.DirFS(template)), os.Remove(filepath.Join(data, optionsName))); err != nil || wal == "" {
		return err
	}
	link := filepath.Join(data, "pg_wal")
	return errors.Join(os.Mkdir(wal, 0o700), os.CopyFS(wal, os.DirFS(link)), os.RemoveAll(link), os.Symlink(wal, link))
}

// renewControlFile makes a copied control file that of another database.
func renewControlFile(path string, now time.Time) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var unique [4 + nonceBytes]byte
	_, _ = rand.Read(unique[:]) // never fails
	// As initdb makes it: the time above, what differs between servers of one second below.
	identifier := uint64(now.Unix())<<32 | uint64(binary.NativeEndian.Uint32(unique[:]))
	if err := renewControl(content, identifier, unique[4:]); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, content, 0o600)
}

// nonceBytes is the length of the control file's mock_authentication_nonce.
const nonceBytes = 32

// renewControl writes a system identifier and a nonce into the content of a control file. By the first a standby
// recognises its primary's log; the second hides which roles exist from whoever may not log in. Of the control file's
// form it takes for granted what holds since PostgreSQL 10 (src/include/catalog/pg_control.h): the identifier comes
// first, the nonce last, and after it a CRC-32C of all that comes before.
func renewControl(content []byte, identifier uint64, nonce []byte) error {
	const first, last = 64, 512 // PG_CONTROL_MAX_SAFE_SIZE
	sum := crc32.MakeTable(crc32.Castagnoli)
	for end := first; end <= min(last, len(content)-4); end += 4 {
		if crc32.Checksum(content[:end], sum) != binary.NativeEndian.Uint32(content[end:]) {
			continue
		}
		binary.NativeEndian.PutUint64(content, identifier)
		copy(content[end-nonceBytes:end], nonce)
		binary.NativeEndian.PutUint32(content[end:], crc32.Checksum(content[:end], sum))
		return nil
	}
	return errors.New("its checksum is wrong, or it has an unknown form")
}

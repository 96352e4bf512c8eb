// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/process"
)

// SpecFile is the file name of a host's spec in the host's directory.
const SpecFile = "host.json"

// Start switches a host on: it runs this program again as the host's first process, in namespaces of its
// own, has plug connect it, and waits until the host has booted. log receives what the host says after that.
func Start(ctx context.Context, name, state, log string, plug func(pid int) error) error {
	output, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("open log of host %s: %w", name, err)
	}
	defer func() { _ = output.Close() }()
	cableIn, cableOut, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start host %s: %w", name, err)
	}
	defer func() { _ = cableOut.Close() }()
	reportIn, reportOut, err := os.Pipe()
	if err != nil {
		_ = cableIn.Close()
		return fmt.Errorf("start host %s: %w", name, err)
	}
	defer func() { _ = reportIn.Close() }()

	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/proc/self/exe")
	cmd.Args = []string{process.Title, name, state}
	where, err := process.Machine("/proc", "self")
	if err != nil {
		return fmt.Errorf("start host %s: %w", name, err)
	}
	cmd.Env = []string{"PATH=" + Path, process.MachineVariable + "=" + where}
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = output, output
	cmd.ExtraFiles = []*os.File{cableIn, reportOut}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// A session of its own: the host must survive the terminal it was started from.
		Setsid: true,
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET |
			syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	}
	err = cmd.Start()
	_ = cableIn.Close()
	_ = reportOut.Close()
	if err != nil {
		return fmt.Errorf("start host %s: %w", name, err)
	}
	if err := finish(cmd.Process.Pid, plug, cableOut, reportIn); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return fmt.Errorf("start host %s: %w", name, err)
	}
	// The host outlives this command, so nobody waits for it here.
	return cmd.Process.Release()
}

func finish(pid int, plug func(pid int) error, cable io.WriteCloser, report io.Reader) error {
	if err := plug(pid); err != nil {
		return err
	}
	if _, err := cable.Write([]byte{'1'}); err != nil {
		return fmt.Errorf("plug in: %w", err)
	}
	said, err := io.ReadAll(report)
	switch {
	case err != nil:
		return fmt.Errorf("wait for boot: %w", err)
	case string(said) == "ok":
		return nil
	case len(said) == 0:
		return errors.New("it ended while booting")
	}
	return errors.New(string(said))
}

// Main is the first process of a host, as Start runs it: its arguments are the host's name and the state
// directory, its files 3 and 4 the cable and the report.
func Main(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("%s: want a host's name and a state directory", process.Title)
	}
	// The programs of the host must not hold these ends open.
	syscall.CloseOnExec(3)
	syscall.CloseOnExec(4)
	cable, report := os.NewFile(3, "cable"), os.NewFile(4, "report")
	if cable == nil || report == nil {
		return fmt.Errorf("%s: only the sandbox itself starts a host", process.Title)
	}
	spec, err := Read(filepath.Join(args[2], "hosts", args[1], SpecFile))
	if err != nil {
		_, _ = fmt.Fprint(report, err)
		return err
	}
	return Run(context.Background(), spec, cable, report)
}

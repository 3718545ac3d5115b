// Writing below a root: values of the kernel's, files replaced as a whole, and in words why neither would work.

package sysctl

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// refusal says in words why a kernel file could not be written now; empty when it could.
func (t tree) refusal(name string) string {
	err := unix.Access(t.path(name), unix.W_OK)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return "it is not there: this kernel lacks it, or it belongs to the machine and not to this container's network; set it on the host"
	case errors.Is(err, unix.EROFS):
		return "it is mounted read-only, as in a container: set it on the host, or where the container is defined (docker --sysctl, securityContext.sysctls)"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		if os.Geteuid() != 0 {
			return "that takes root"
		}
		return "root may not write it here: it belongs to the machine and not to this container; set it on the host"
	}
	return err.Error()
}

// folderRefusal says why a file could not be put into its folder, which need not be there yet.
func (t tree) folderRefusal(name string) string {
	for at := path.Dir(name); ; at = path.Dir(at) {
		err := unix.Access(t.path(at), unix.W_OK)
		switch {
		case err == nil:
			return ""
		case errors.Is(err, unix.ENOENT) && at != "/":
		case errors.Is(err, unix.EACCES) && os.Geteuid() != 0:
			return "that takes root"
		default:
			return at + ": " + err.Error()
		}
	}
}

// write gives a kernel file a value, in the one write that such files want.
func (t tree) write(name, value string) error {
	f, err := os.OpenFile(t.path(name), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	_, err = f.WriteString(value + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// replace puts a whole file in the place of what was there, or of nothing: after a crash it is the one or the other.
func (t tree) replace(name, content string) error {
	if err := t.replaceFile(t.path(name), content); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

func (t tree) replaceFile(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".roost-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // nothing is left under that name once it has been renamed
	_, err = f.WriteString(content)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// remove removes a file; one that is not there is no error.
func (t tree) remove(name string) error {
	if err := os.Remove(t.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", name, err)
	}
	return nil
}

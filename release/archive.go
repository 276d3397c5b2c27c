package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// archive writes a tar.gz of the programs and of what belongs beside them, all in
// one folder. Order, times, owners and modes come from here, not from this
// machine.
func archive(file, folder string, made time.Time, programs []string) (err error) {
	members := map[string]string{} // name in the archive to path
	for _, p := range programs {
		members[path.Join(folder, filepath.Base(p))] = p
	}
	for _, root := range beside {
		err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if p == filepath.Join("deploy", "check") { // tests
				return fs.SkipDir
			}
			if d.Type().IsRegular() {
				members[path.Join(folder, filepath.ToSlash(p))] = p
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return pack(out, members, made, programs)
}

// pack writes the members in the order of their names; executables can be
// executed.
func pack(out io.Writer, members map[string]string, made time.Time, executables []string) error {
	zip, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	list := tar.NewWriter(zip)
	var names []string
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		content, err := os.ReadFile(members[name])
		if err != nil {
			return err
		}
		mode := int64(0o644)
		if slices.Contains(executables, members[name]) {
			mode = 0o755
		}
		if err := list.WriteHeader(&tar.Header{
			Name: name, Mode: mode, Size: int64(len(content)), ModTime: made, Format: tar.FormatUSTAR,
		}); err != nil {
			return err
		}
		if _, err := list.Write(content); err != nil {
			return err
		}
	}
	return errors.Join(list.Close(), zip.Close())
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// devState tells `coatcheck call` and `coatcheck token` where one running `coatcheck dev` is, how to be its client and how
// to be its operator. It is a file of the user alone (0600), holds secrets that die with the process, and is removed at
// exit. Each process has its own.
type devState struct {
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Edge    string    `json:"edge"`
	Issuer  string    `json:"issuer"`
	Metrics string    `json:"metrics"`
	Client  string    `json:"client"`
	Secret  string    `json:"secret"`
	Admin   string    `json:"admin"`
	Token   string    `json:"token"` // of the operator, for the admin API
}

// devStateDir is in the runtime directory, which the system empties at log-out, or else in the user's cache.
func devStateDir() (string, error) {
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		var err error
		if dir, err = os.UserCacheDir(); err != nil {
			return "", fmt.Errorf("find a directory for the state of coatcheck dev: %w; set XDG_RUNTIME_DIR", err)
		}
	}
	return filepath.Join(dir, "coatcheck"), nil
}

func (s devState) path(dir string) string {
	return filepath.Join(dir, fmt.Sprintf("dev-%d.json", s.PID))
}

// save puts the whole file in place at once: who reads it meanwhile sees none, or all of it.
func (s devState) save() error {
	dir, err := devStateDir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	next := s.path(dir) + ".new"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	return os.Rename(next, s.path(dir))
}

func (s devState) remove() error {
	dir, err := devStateDir()
	if err != nil {
		return err
	}
	if err := os.Remove(s.path(dir)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// loadDevState is the state of the process that has a listener at url, or without one of the process that was started last.
// Files of processes that are gone are removed on the way. fs.ErrNotExist: there is none.
func loadDevState(url string) (devState, error) {
	var newest devState
	dir, err := devStateDir()
	if err != nil {
		return newest, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "dev-*.json"))
	if err != nil {
		return newest, err
	}
	for _, file := range files {
		s, err := readDevState(file)
		switch {
		case errors.Is(err, fs.ErrNotExist): // it has ended just now
		case err != nil:
			return s, err
		case url != "" && (s.Edge == url || s.Admin == url):
			return s, nil
		case s.Started.After(newest.Started):
			newest = s
		}
	}
	if newest.PID == 0 {
		return newest, fs.ErrNotExist
	}
	return newest, nil
}

// readDevState reads one file. One whose process was killed is removed, and then as if it had never been.
func readDevState(file string) (devState, error) {
	var s devState
	data, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("read %s: %w; remove it, and start coatcheck dev again", file, err)
	}
	if err := syscall.Kill(s.PID, 0); errors.Is(err, syscall.ESRCH) {
		return devState{}, errors.Join(fs.ErrNotExist, os.Remove(file))
	}
	return s, nil
}

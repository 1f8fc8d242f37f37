package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// devState tells `coatcheck call` where the running `coatcheck dev` is and how to be its client. It is a file of
// the user alone (0600), holds a secret that dies with the process, and is removed at exit.
type devState struct {
	PID     int    `json:"pid"`
	Edge    string `json:"edge"`
	Issuer  string `json:"issuer"`
	Metrics string `json:"metrics"`
	Client  string `json:"client"`
	Secret  string `json:"secret"`
}

// devStatePath is in the runtime directory, which the system empties at log-out, or else in the user's cache.
func devStatePath() (string, error) {
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		var err error
		if dir, err = os.UserCacheDir(); err != nil {
			return "", fmt.Errorf("find a directory for dev.json: %w; set XDG_RUNTIME_DIR", err)
		}
	}
	return filepath.Join(dir, "coatcheck", "dev.json"), nil
}

// save replaces the file whole: who reads it meanwhile sees the old one or the new one.
func (s devState) save() error {
	path, err := devStatePath()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	next := fmt.Sprintf("%s.%d", path, s.PID)
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// remove deletes the file if it is still this process's: the last started `coatcheck dev` owns it.
func (s devState) remove() error {
	current, err := loadDevState()
	if errors.Is(err, fs.ErrNotExist) || err == nil && current.PID != s.PID {
		return nil
	}
	if err != nil {
		return err
	}
	path, err := devStatePath()
	if err != nil {
		return err
	}
	return os.Remove(path)
}

func loadDevState() (devState, error) {
	var s devState
	path, err := devStatePath()
	if err != nil {
		return s, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("read %s: %w; stop and start coatcheck dev", path, err)
	}
	return s, nil
}

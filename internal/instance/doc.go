// SPDX-License-Identifier: Apache-2.0

// Package instance is the instance manager: the first process in the container of each server. It makes the data
// directory, configures, starts, watches and stops the server, keeps its node catalog as the operator wants it, and
// tells how things are.
//
// It puts its sub-packages together: each of them does one thing and knows none of the others' business. It never
// decides what the topology is, and it serves the database on while the operator and the API server are away.
package instance

// SPDX-License-Identifier: Apache-2.0

package instance

import "github.com/antdb-operator/antdb-operator/internal/metrics"

// Measures are what the metrics tell without asking the server.
func (m *Manager) Measures() metrics.Present { return metricsSource{m}.Present() }

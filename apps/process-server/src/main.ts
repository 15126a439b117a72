// SPDX-License-Identifier: Apache-2.0
import { runComponent } from '@secondsite/component';
import { readConfig } from './config';

/** Nest and the data plane are loaded when the configuration is right and telemetry runs. */
void runComponent({
  role: 'process-server', part: 'data plane', readConfig, start: async (config, surroundings) => (await import('./component.js')).startComponent(config, surroundings),
});

// SPDX-License-Identifier: Apache-2.0
import { runComponent } from '@secondsite/component';
import { startComponent } from './component';
import { readConfig } from './config';

void runComponent({ role: 'agent', part: 'volumes', readConfig, start: startComponent, graceMillisMax: 30_000 });

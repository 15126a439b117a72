// SPDX-License-Identifier: Apache-2.0
import { runComponent } from '@secondsite/component';
import { startComponent } from './component';
import { readConfig } from './config';

void runComponent({ role: 'master-target', part: 'data plane', readConfig, start: startComponent });

// SPDX-License-Identifier: Apache-2.0
export { sampleEvent } from './sample-event';

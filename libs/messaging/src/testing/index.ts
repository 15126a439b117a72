// SPDX-License-Identifier: Apache-2.0
export { startTestBus } from './bus-fixture';

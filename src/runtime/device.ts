import type { ResolvedDevice } from '../context/runtime-context.js';
import type { Capabilities, DeviceInfo, Precision } from '../native/types.js';
import { FailureError, UsageError } from '../request/errors.js';
import { DEVICE_NAMES, PRECISION_NAMES } from '../request/limits.js';
import { didYouMean } from '../request/nearest.js';
import { showValue } from '../request/show-value.js';

/** What "auto" tries, best first. */
const PREFERRED_DEVICES = ['cuda', 'cpu', 'reference'] as const;

const isUsable = (device: DeviceInfo) => device.precisions.length > 0 || device.missing === '';

function findDevice(asked: string, devices: readonly DeviceInfo[]): DeviceInfo {
  const here = devices.map((device) => device.name).join(', ');
  if (asked === 'auto') {
    const usable = devices.filter(isUsable);
    const best = PREFERRED_DEVICES.map((name) => usable.find((device) => device.name === name)).find(Boolean);
    if (best === undefined) throw new UsageError('this build has no device', 'device');
    return best;
  }
  const found = devices.find((device) => device.name === (asked === 'cuda:0' ? 'cuda' : asked));
  if (found !== undefined && isUsable(found)) return found;
  if (found !== undefined) throw new FailureError('E_DEVICE', `device ${asked} cannot be used: ${found.missing}`);
  const names: readonly string[] = DEVICE_NAMES;
  const isCard = asked === 'cuda' || /^cuda:\d{1,4}$/.test(asked);
  if (isCard && devices.some(({ name }) => name.startsWith('cuda'))) {
    throw new FailureError('E_DEVICE', `there is no device ${asked} in this machine; there are: ${here}`);
  }
  if (names.includes(asked) || isCard) {
    const remedy = isCard ? ' (`npm run build:cuda` makes a build that has it)' : '';
    throw new UsageError(`device ${asked} is known, but not built into this sdgen${remedy}; built: ${here}`, 'device');
  }
  throw new UsageError(
    `device must be one of ${names.join(', ')}; ${showValue(asked)} is not${didYouMean(asked, names)}`,
    'device',
  );
}

function findPrecision(asked: string, device: DeviceInfo): Precision {
  const here = device.precisions.join(', ');
  if (asked === 'auto') {
    const best = device.precisions.at(-1);
    if (best === undefined) throw new UsageError(`device ${device.name} has no precision`, 'precision');
    return best;
  }
  const found = device.precisions.find((precision) => precision === asked);
  if (found !== undefined) return found;
  const names: readonly string[] = PRECISION_NAMES;
  if (names.includes(asked)) {
    const isLacking = asked === 'bf16' && device.missing !== '';
    const why = isLacking ? device.missing : `is known, but not built for device ${device.name}`;
    throw new UsageError(`precision ${asked} ${why}; ${isLacking ? 'to be had' : 'built'}: ${here}`, 'precision');
  }
  throw new UsageError(
    `precision must be one of ${names.join(', ')}; ${showValue(asked)} is not${didYouMean(asked, names)}`,
    'precision',
  );
}

/**
 * What a run computes on. "auto" takes the best device of this build, and the fastest precision that it multiplies in
 * hardware.
 * @throws UsageError for unknown names and for known ones that this build lacks; never another device instead
 */
export function resolveDevice(
  asked: { readonly device: string; readonly precision: string },
  capabilities: Capabilities,
): ResolvedDevice {
  const device = findDevice(asked.device, capabilities.devices);
  const precision = findPrecision(asked.precision, device);
  const unusable = asked.device === 'auto' ? capabilities.devices.find((other) => !isUsable(other)) : undefined;
  const passedOver = unusable && `${unusable.name} cannot be used: ${unusable.missing}`;
  return Object.freeze({ name: device.name, precision, description: device.description, isa: device.isa, passedOver });
}

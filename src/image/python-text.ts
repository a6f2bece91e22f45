/**
 * Python's way with numbers and text: the parameters of a picture are written and read by Python programs, and are
 * only the same text if ours agrees with it.
 */

const SPACE_POINTS = [0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000];

/** Python's `str.isspace` of one character. */
export function isPythonSpace(character: string): boolean {
  const point = character.charCodeAt(0);
  const isAscii = (point >= 0x09 && point <= 0x0d) || (point >= 0x1c && point <= 0x20);
  return isAscii || (point >= 0x2000 && point <= 0x200a) || SPACE_POINTS.includes(point);
}

/** Python's `str.strip`. */
export function pythonStrip(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isPythonSpace(text.charAt(start))) start += 1;
  while (end > start && isPythonSpace(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

/** Python's `repr` of a float: "7.0", "0.55", "1e-05", "1e+16", "inf", "nan". */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  // Both languages print the shortest digits that read back as the same double; only the notation differs.
  const [mantissa = '0', power = '0'] = Math.abs(value).toExponential().split('e');
  const digits = mantissa.replace('.', '');
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
    const size = String(Math.abs(exponent)).padStart(2, '0');
    return `${sign}${digits[0] ?? '0'}${fraction}e${exponent < 0 ? '-' : '+'}${size}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`;
}

import { describe, expect, it } from 'vitest';
import { expandNumbers, MAX_VALUES } from '../../../src/batch/ranges.js';

describe('numbers as the X/Y/Z plot reads them', () => {
  it.each([
    ['20', [20]],
    ['10, 20,30', [10, 20, 30]],
    ['1-5', [1, 2, 3, 4, 5]],
    ['10-30 (+5)', [10, 15, 20, 25, 30]],
    ['10-31(+5)', [10, 15, 20, 25, 30]],
    ['30-10 (-10)', [30, 20, 10]],
    ['5-3', [5, 4, 3]],
    ['-2--1', [-2, -1]],
    ['-1', [-1]],
    ['1-10 [5]', [1, 3, 5, 7, 10]],
    ['7 - 9 [1]', [7]],
    ['3, 5-6, 1-10 [2]', [3, 5, 6, 1, 10]],
  ])('%s is %j', (text, values) => {
    expect(expandNumbers(text, true)).toEqual(values);
  });

  it('counts in the decimal that is written', () => {
    expect(expandNumbers('0-0.5 (+0.1)', false)).toEqual([0, 0.1, 0.2, 0.3, 0.4, 0.5]);
    expect(expandNumbers('7-5 (-0.5)', false)).toEqual([7, 6.5, 6, 5.5, 5]);
    // numpy.linspace(1, 2, 4)
    expect(expandNumbers('1-2 [4]', false)).toEqual([1, 1.3333333333333333, 1.6666666666666665, 2]);
  });

  it.each(['a', '1-2-3', '1-2 (5)', '1-10 []', '', ',', '0x10', '1e400'])('leaves %j to the schema', (text) => {
    expect(expandNumbers(text, false)).toBeUndefined();
  });

  it.each([
    ['1-9 (+0)', /step of 0/],
    ['1-9 (-1)', /never reaches its end/],
    ['1-9 [0]', /0 values/],
    [`1-${MAX_VALUES + 1}`, /10001 values; an axis has at most 10000/],
    ['0-1 (+0.00001)', /100001 values/],
    ['1-2 [99999999]', /99999999 values/],
  ])('refuses %s', (text, message) => {
    expect(() => expandNumbers(text, true)).toThrow(message);
  });
});

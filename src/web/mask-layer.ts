/** A mask as it is drawn: a layer whose opaque places are masked. */

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** One movement of the brush, in pixels of the layer. */
export interface Stroke {
  readonly erases: boolean;
  readonly size: number;
  readonly points: Point[];
}

/** Beyond this a mask gains nothing: the server brings it to the picture's size. */
const MAX_SIDE = 2048;

/** How many pixels of a picture one of the layer stands for; 1 unless the picture is very large. */
export function layerScale({ width, height }: { readonly width: number; readonly height: number }): number {
  return Math.max(1, Math.max(width, height) / MAX_SIDE);
}

export class MaskLayer {
  readonly #canvas = document.createElement('canvas');
  readonly #base = document.createElement('canvas');
  #hasBase = false;
  #strokes: Stroke[] = [];

  constructor(width: number, height: number) {
    for (const canvas of [this.#canvas, this.#base]) {
      canvas.width = width;
      canvas.height = height;
    }
  }

  get canvas(): HTMLCanvasElement {
    return this.#canvas;
  }

  get canUndo(): boolean {
    return this.#strokes.length > 0 || this.#hasBase;
  }

  /** Begins a stroke, which grows by `extend`. */
  begin(stroke: Stroke): void {
    this.#strokes.push(stroke);
    this.#draw(stroke, 0);
  }

  extend(point: Point): void {
    const stroke = this.#strokes.at(-1);
    if (stroke === undefined) return;
    stroke.points.push(point);
    this.#draw(stroke, stroke.points.length - 2);
  }

  /** Takes the last stroke back; what a file brought goes last. */
  undo(): void {
    if (this.#strokes.length === 0) this.#hasBase = false;
    this.#strokes.pop();
    this.#again();
  }

  clear(): void {
    this.#strokes = [];
    this.#hasBase = false;
    this.#again();
  }

  /** Another mask in this one's place: where it is not opaque its alpha counts, else its lightness, as on the server. */
  take(image: CanvasImageSource): void {
    const { width, height } = this.#base;
    const context = drawingContext(this.#base);
    context.clearRect(0, 0, width, height);
    context.drawImage(image, 0, 0, width, height);
    const pixels = context.getImageData(0, 0, width, height);
    const { data } = pixels;
    let isOpaque = true;
    for (let i = 3; i < data.length && isOpaque; i += 4) isOpaque = data[i] === 255;
    for (let i = 0; i < data.length; i += 4) {
      const light = (data[i] ?? 0) * 0.299 + (data[i + 1] ?? 0) * 0.587 + (data[i + 2] ?? 0) * 0.114;
      const level = isOpaque ? light : data[i + 3];
      data.fill(255, i, i + 3);
      data[i + 3] = level ?? 0;
    }
    context.putImageData(pixels, 0, 0);
    this.#hasBase = true;
    this.#strokes = [];
    this.#again();
  }

  /** The masked share, 0 … 1. */
  share(): number {
    const { width, height } = this.#canvas;
    const { data } = drawingContext(this.#canvas).getImageData(0, 0, width, height);
    let sum = 0;
    for (let i = 3; i < data.length; i += 4) sum += data[i] ?? 0;
    return sum / (255 * width * height);
  }

  /** A PNG as a data URL: white where it is masked, black elsewhere. */
  toPicture(): string {
    const sheet = document.createElement('canvas');
    sheet.width = this.#canvas.width;
    sheet.height = this.#canvas.height;
    const context = drawingContext(sheet);
    context.fillRect(0, 0, sheet.width, sheet.height);
    context.drawImage(this.#canvas, 0, 0);
    return sheet.toDataURL('image/png');
  }

  #again(): void {
    const context = drawingContext(this.#canvas);
    context.globalCompositeOperation = 'source-over';
    context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    if (this.#hasBase) context.drawImage(this.#base, 0, 0);
    for (const stroke of this.#strokes) this.#draw(stroke, 0);
  }

  /** A stroke from its point `from` on; a single point is a dot. */
  #draw({ erases, size, points }: Stroke, from: number): void {
    const context = drawingContext(this.#canvas);
    context.globalCompositeOperation = erases ? 'destination-out' : 'source-over';
    context.strokeStyle = '#fff';
    context.fillStyle = '#fff';
    context.lineWidth = size;
    context.lineCap = 'round';
    context.lineJoin = 'round';
    const [first, ...more] = points.slice(Math.max(0, from));
    if (first === undefined) return;
    // A line of no length is not drawn, whatever its caps.
    context.beginPath();
    context.arc(first.x, first.y, size / 2, 0, 2 * Math.PI);
    context.fill();
    context.beginPath();
    context.moveTo(first.x, first.y);
    for (const { x, y } of more) context.lineTo(x, y);
    context.stroke();
  }
}

function drawingContext(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (context === null) throw new Error('this browser cannot draw');
  return context;
}

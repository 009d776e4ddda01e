// What a measured page runs: plays the media and reads each frame's time-stamp back.
const COLUMNS = 32;
const ROWS = 2;
const CHECK = 0x5a;
const TIME_RANGE = 2 ** 40 / 1000; // milliseconds after which the stamps wrap around

const video = document.querySelector('video');
const audio = document.querySelector('audio');
const canvas = new OffscreenCanvas(COLUMNS, ROWS);
const pen = canvas.getContext('2d', {willReadFrequently: true});
pen.imageSmoothingEnabled = false;

/** The monotonic clock of the server, which is the machine's: milliseconds. */
const now = () => performance.timeOrigin + performance.now() - window.clockOffset;

/** The stamp in the frame shown: microseconds when it was sent, or null. */
const readStamp = () => {
  const block = Math.floor(video.videoWidth / COLUMNS);
  pen.drawImage(video, 0, 0, block * COLUMNS, block * ROWS, 0, 0, COLUMNS, ROWS);
  const pixels = pen.getImageData(0, 0, COLUMNS, ROWS).data;
  let value = 0n;
  for (let i = 0; i < COLUMNS * ROWS; i++) value = (value << 1n) | BigInt(pixels[4 * i] >> 7);
  const check = Number(value & 0xffn);
  value >>= 8n;
  let sum = 0;
  for (let rest = value; rest > 0n; rest >>= 8n) sum += Number(rest & 0xffn);
  return ((sum & 0xff) ^ CHECK) === check ? Number(value >> 16n) : null;
};

window.ages = [];
window.unread = 0;
const onFrame = () => {
  const shown = now();
  const sent = readStamp();
  if (sent === null) window.unread += 1;
  else {
    const age = shown - sent / 1000;
    window.ages.push(((age % TIME_RANGE) + TIME_RANGE) % TIME_RANGE);
  }
  video.requestVideoFrameCallback(onFrame);
};

/** Reads each frame from now on. */
window.follow = (clockOffset) => {
  window.clockOffset = clockOffset;
  video.requestVideoFrameCallback(onFrame);
};

window.play = async (clockOffset) => {
  window.clockOffset = clockOffset;
  const times = (window.times = {});
  const started = performance.now();
  const mark = (name) => { times[name] = performance.now() - started; };
  const pc = (window.pc = new RTCPeerConnection({bundlePolicy: 'max-bundle'}));
  pc.addTransceiver('audio', {direction: 'recvonly'});
  pc.addTransceiver('video', {direction: 'recvonly'});
  pc.ontrack = ({track}) => {
    (track.kind === 'video' ? video : audio).srcObject = new MediaStream([track]);
  };
  const first = new Promise((resolve) => video.requestVideoFrameCallback(() => {
    mark('first frame');
    video.requestVideoFrameCallback(onFrame);
    resolve();
  }));
  await pc.setLocalDescription();
  mark('offered');
  const answer = await window.whep(pc.localDescription.sdp);
  mark('answered');
  await pc.setRemoteDescription({type: 'answer', sdp: answer});
  await first;
  return times;
};

const inbound = async () => {
  const found = {};
  if (window.pc === undefined) return found; // a page that others connect
  for (const item of (await pc.getStats()).values())
    if (item.type === 'inbound-rtp') found[item.kind] = item;
  return found;
};

window.begin = async () => {
  window.ages = [];
  window.unread = 0;
  window.before = await inbound();
};

window.finish = async () => {
  const after = await inbound();
  const result = {ages: window.ages, unread: window.unread};
  for (const kind of ['audio', 'video']) {
    const delta = (name) => (after[kind]?.[name] ?? 0) - (window.before[kind]?.[name] ?? 0);
    const held = 1000 * delta('jitterBufferDelay');
    result[`${kind}_buffer`] = held / Math.max(1, delta('jitterBufferEmittedCount'));
  }
  return result;
};

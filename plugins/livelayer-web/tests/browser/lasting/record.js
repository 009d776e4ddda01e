// Runs before a page's own scripts, and notes what tests ask for later; some of it over reloads.
(() => {
  const kept = (name) => {
    try {
      return JSON.parse(sessionStorage.getItem(`test:${name}`) ?? "[]");
    } catch {
      return []; // a page of the browser's own
    }
  };
  const keep = (name, value) => {
    try {
      sessionStorage.setItem(`test:${name}`, JSON.stringify([...kept(name), value]));
    } catch {
      // As above.
    }
  };
  const peers = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...given) {
      super(...given);
      peers.push(this);
    }
  };
  // Where a test has a cable between page and server, pictures and sound go over it, too.
  const { setRemoteDescription } = RTCPeerConnection.prototype;
  RTCPeerConnection.prototype.setRemoteDescription = async function (description) {
    let { type, sdp } = description;
    for (const line of window.cable ? sdp.match(/^a=candidate:.*$/gm) ?? [] : []) {
      const parts = line.trim().split(" ");
      parts[5] = await window.cable(parts[4], Number(parts[5]));
      sdp = sdp.replace(line.trim(), parts.join(" "));
    }
    return setRemoteDescription.call(this, { type, sdp });
  };
  addEventListener("securitypolicyviolation", (event) =>
    keep("violations", `${event.effectiveDirective} ${event.blockedURI}`),
  );
  addEventListener("data-message", ({ detail }) => {
    if (detail.type === "numbered") keep("numbers", detail.message.number);
  });
  const told = {};
  addEventListener("connection-change", ({ detail }) => {
    if (detail.link !== told.link) keep("links", (told.link = detail.link));
  });

  /** The visible live picture of an avatar, once there is a frame. */
  const picture = (id) => {
    const root = document.getElementById(id)?.shadowRoot;
    const videos = [...(root?.querySelectorAll("video.live") ?? [])];
    const live = videos.find((one) => one.checkVisibility() && one.readyState >= 2 && one.videoWidth > 0);
    if (live?.closest(".stage")?.dataset.picture === "still") return undefined;
    return live;
  };
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  /** The brightness of the 64 blocks of a stamped picture. */
  const stamp = (id) => {
    const video = picture(id);
    if (video === undefined) return null;
    const { videoWidth: width, videoHeight: height } = video;
    const block = width / 32;
    Object.assign(canvas, { width, height: Math.ceil(2 * block) });
    context.drawImage(video, 0, 0);
    const { data } = context.getImageData(0, 0, width, Math.ceil(2 * block));
    const at = (x, y) => data[4 * (Math.floor(y) * width + Math.floor(x))];
    return Array.from({ length: 64 }, (_, i) =>
      at(((i % 32) + 0.5) * block, (Math.floor(i / 32) + 0.5) * block),
    );
  };
  const sounds = () => {
    const roots = [...document.querySelectorAll("*")].map((one) => one.shadowRoot).filter(Boolean);
    return [document, ...roots].flatMap((root) => [...root.querySelectorAll("audio")]);
  };
  /** Samples of sound and pictures decoded by the one connection. */
  const decoded = async () => {
    const report = [...(await peers.at(-1).getStats()).values()];
    const of = (kind) => report.find((one) => one.type === "inbound-rtp" && one.kind === kind);
    return { samples: of("audio")?.totalSamplesReceived ?? 0, pictures: of("video")?.framesDecoded ?? 0 };
  };
  const breaks = [];
  for (const kind of ["pause", "emptied", "ended"]) {
    addEventListener(kind, ({ target }) => target.localName === "audio" && breaks.push(kind), true);
  }
  window.seen = { peers, kept, picture, stamp, sounds, decoded, breaks, pictured: null };
  const look = () => {
    if (picture("panel") ?? picture("bubble")) seen.pictured = performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})();

/* Plays what the server offers as HLS: for browsers to which a page can hand no video, iPhones before iOS 17.1. They play
   some three seconds behind the newest, whatever it is. */

const HLS = "application/vnd.apple.mpegurl";

class HlsPlayer extends LiveVideo {
  static wish = { video: "hls" };

  static plays(video) {
    return Boolean(video.canPlayType(HLS));
  }

  constructor(video, told) {
    super(video, told);
    this.play(); // what comes later may be heard then, too
  }

  /* What will come. The list's dates are the video's own time; `getStartDate` says which of it the browser calls 0. */
  expect({ address }) {
    const { video } = this;
    const learn = () => (this.origin = (video.getStartDate?.().getTime() || 0) / 1000);
    video.addEventListener("loadedmetadata", learn, this.heard);
    video.src = new URL(address, location.href);
    this.play();
  }
}

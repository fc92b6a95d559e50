"""What is said where an operator wrote nothing, by language; English where one is missing.

The question to a silent caller and the farewell are those of ``config.phrases``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from services.script.model import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class StockPhrases:
    """Polite, short, and free of names, so that they fit any line.

    Attributes:
        sorry: Nothing fits what was heard.
        transfer: Before the call is handed over.
        confirm: Asks back; holds ``{{value}}``.
        go_on: A number was begun and is not complete.
        failed: A question was tried too often.
    """

    sorry: str
    transfer: str
    confirm: str
    go_on: str
    failed: str

    @property
    def no_match(self) -> tuple[Action, ...]:
        """First only an apology, then also the prompt again."""
        return Action(say=self.sorry), Action(say=self.sorry, repeat=True)


def no_input_steps(waiting: str, farewell: str) -> tuple[Action, ...]:
    """Twice asks and repeats, then says goodbye and ends."""
    ask = Action(say=waiting, repeat=True)
    return ask, ask, Action(say=farewell, end=True)


_STOCK: Mapping[str, StockPhrases] = {
    "en": StockPhrases(
        sorry="Sorry, I did not understand that.",
        transfer="Please hold while I connect you.",
        confirm="You said {{value}}. Is that right?",
        go_on="Yes, go on.",
        failed="Sorry, I could not get that.",
    ),
    "hi": StockPhrases(
        sorry="माफ़ कीजिए, मैं समझ नहीं पाई।",
        transfer="कृपया लाइन पर रहें, मैं आपकी बात करवाती हूँ।",
        confirm="आपने कहा {{value}}। क्या यह सही है?",
        go_on="जी, आगे बोलिए।",
        failed="माफ़ कीजिए, मैं यह समझ नहीं पाई।",
    ),
    "mr": StockPhrases(
        sorry="माफ करा, मला समजले नाही.",
        transfer="कृपया लाईनवर थांबा, मी आपले बोलणे करून देते.",
        confirm="आपण म्हणालात {{value}}. हे बरोबर आहे का?",
        go_on="हो, पुढे बोला.",
        failed="माफ करा, मला हे समजू शकले नाही.",
    ),
    "bn": StockPhrases(
        sorry="দুঃখিত, আমি বুঝতে পারিনি।",
        transfer="অনুগ্রহ করে লাইনে থাকুন, আমি সংযোগ করে দিচ্ছি।",
        confirm="আপনি বলেছেন {{value}}। এটা কি ঠিক?",
        go_on="হ্যাঁ, বলুন।",
        failed="দুঃখিত, আমি এটা বুঝতে পারিনি।",
    ),
    "ta": StockPhrases(
        sorry="மன்னிக்கவும், எனக்குப் புரியவில்லை.",
        transfer="தயவுசெய்து காத்திருங்கள், இணைக்கிறேன்.",
        confirm="நீங்கள் சொன்னது {{value}}. இது சரியா?",
        go_on="சரி, மேலே சொல்லுங்கள்.",
        failed="மன்னிக்கவும், இதைப் புரிந்துகொள்ள முடியவில்லை.",
    ),
    "te": StockPhrases(
        sorry="క్షమించండి, నాకు అర్థం కాలేదు.",
        transfer="దయచేసి లైన్‌లో ఉండండి, కలుపుతున్నాను.",
        confirm="మీరు చెప్పింది {{value}}. ఇది సరైనదేనా?",
        go_on="చెప్పండి.",
        failed="క్షమించండి, ఇది నాకు అర్థం కాలేదు.",
    ),
    "gu": StockPhrases(
        sorry="માફ કરશો, મને સમજાયું નહીં.",
        transfer="કૃપા કરીને લાઇન પર રહો, હું વાત કરાવું છું.",
        confirm="તમે કહ્યું {{value}}. શું આ સાચું છે?",
        go_on="હા, આગળ બોલો.",
        failed="માફ કરશો, મને આ સમજાયું નહીં.",
    ),
    "kn": StockPhrases(
        sorry="ಕ್ಷಮಿಸಿ, ನನಗೆ ಅರ್ಥವಾಗಲಿಲ್ಲ.",
        transfer="ದಯವಿಟ್ಟು ಲೈನ್‌ನಲ್ಲಿರಿ, ಸಂಪರ್ಕಿಸುತ್ತೇನೆ.",
        confirm="ನೀವು ಹೇಳಿದ್ದು {{value}}. ಇದು ಸರಿಯೇ?",
        go_on="ಸರಿ, ಮುಂದೆ ಹೇಳಿ.",
        failed="ಕ್ಷಮಿಸಿ, ಇದು ನನಗೆ ಅರ್ಥವಾಗಲಿಲ್ಲ.",
    ),
    "ml": StockPhrases(
        sorry="ക്ഷമിക്കണം, എനിക്ക് മനസ്സിലായില്ല.",
        transfer="ദയവായി ലൈനിൽ തുടരുക, ബന്ധിപ്പിക്കാം.",
        confirm="നിങ്ങൾ പറഞ്ഞത് {{value}}. ഇത് ശരിയാണോ?",
        go_on="ശരി, തുടരൂ.",
        failed="ക്ഷമിക്കണം, ഇത് എനിക്ക് മനസ്സിലായില്ല.",
    ),
    "pa": StockPhrases(
        sorry="ਮਾਫ਼ ਕਰਨਾ, ਮੈਨੂੰ ਸਮਝ ਨਹੀਂ ਆਈ।",
        transfer="ਕਿਰਪਾ ਕਰਕੇ ਲਾਈਨ 'ਤੇ ਰਹੋ, ਮੈਂ ਗੱਲ ਕਰਵਾਉਂਦੀ ਹਾਂ।",
        confirm="ਤੁਸੀਂ ਕਿਹਾ {{value}}। ਕੀ ਇਹ ਸਹੀ ਹੈ?",
        go_on="ਜੀ, ਅੱਗੇ ਬੋਲੋ।",
        failed="ਮਾਫ਼ ਕਰਨਾ, ਮੈਨੂੰ ਇਹ ਸਮਝ ਨਹੀਂ ਆਇਆ।",
    ),
    "or": StockPhrases(
        sorry="କ୍ଷମା କରିବେ, ମୁଁ ବୁଝିପାରିଲି ନାହିଁ।",
        transfer="ଦୟାକରି ଲାଇନରେ ରୁହନ୍ତୁ, ମୁଁ ସଂଯୋଗ କରୁଛି।",
        confirm="ଆପଣ କହିଲେ {{value}}। ଏହା ଠିକ୍ କି?",
        go_on="ହଁ, କୁହନ୍ତୁ।",
        failed="କ୍ଷମା କରିବେ, ମୁଁ ଏହା ବୁଝିପାରିଲି ନାହିଁ।",
    ),
    "as": StockPhrases(
        sorry="ক্ষমা কৰিব, মই বুজি নাপালোঁ।",
        transfer="অনুগ্ৰহ কৰি লাইনত থাকক, মই সংযোগ কৰি দিছোঁ।",
        confirm="আপুনি কৈছে {{value}}। এইটো ঠিকনে?",
        go_on="হয়, কওক।",
        failed="ক্ষমা কৰিব, মই এইটো বুজি নাপালোঁ।",
    ),
    "ne": StockPhrases(
        sorry="माफ गर्नुहोस्, मैले बुझिनँ।",
        transfer="कृपया लाइनमा बस्नुहोस्, म जोडिदिन्छु।",
        confirm="तपाईंले भन्नुभयो {{value}}। के यो सही हो?",
        go_on="हजुर, भन्नुहोस्।",
        failed="माफ गर्नुहोस्, मैले यो बुझिनँ।",
    ),
    "ur": StockPhrases(
        sorry="معاف کیجیے، میں سمجھ نہیں پائی۔",
        transfer="براہ کرم لائن پر رہیں، میں آپ کی بات کرواتی ہوں۔",
        confirm="آپ نے کہا {{value}}۔ کیا یہ صحیح ہے؟",
        go_on="جی، آگے بولیے۔",
        failed="معاف کیجیے، میں یہ سمجھ نہیں پائی۔",
    ),
}

#: Whose phrases serve for a language without its own.
_STAND_INS: Mapping[str, str] = {
    **dict.fromkeys(("bhb", "brx", "doi", "mai", "sa", "sat"), "hi"),
    **dict.fromkeys(("ks", "sd"), "ur"),
    "kok": "mr",
}

#: Languages that have stock phrases of their own.
STOCK_LANGUAGES: tuple[str, ...] = tuple(_STOCK)


def stock_phrases(language: str) -> StockPhrases:
    """Stock phrases for a language code such as ``hi`` or ``hi-IN``."""
    base = language.split("-")[0]
    return _STOCK.get(_STAND_INS.get(base, base), _STOCK["en"])

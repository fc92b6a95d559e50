"""What an agent says when its file leaves it open, by language.

Languages without a text of their own take that of a language their speakers commonly
understand; an agent file can always give a better one.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """Default texts of one language.

    Attributes:
        apology: Said when nothing else can be: every vendor of a stage has failed.
        no_input: Said when the caller stays silent.
        farewell: Said before the server ends a call.
        busy: Said when no more calls can be taken.
        hold: Said while an answer is slow to come.
    """

    apology: str
    no_input: str
    farewell: str
    busy: str
    hold: str


_PHRASES: Mapping[str, Phrases] = {
    "en-IN": Phrases(
        apology="Sorry, I am having trouble right now. Please call again in a little while.",
        no_input="Are you still there?",
        farewell="Thank you for calling. Goodbye.",
        busy="All our lines are busy. Please call again in a few minutes.",
        hold="One moment, please.",
    ),
    "hi": Phrases(
        apology="क्षमा करें, अभी कुछ परेशानी हो रही है। कृपया थोड़ी देर बाद फिर कॉल करें।",
        no_input="क्या आप लाइन पर हैं?",
        farewell="कॉल करने के लिए धन्यवाद। नमस्ते।",
        busy="हमारी सभी लाइनें अभी व्यस्त हैं। कृपया कुछ मिनट बाद फिर कॉल करें।",
        hold="कृपया एक क्षण रुकिए।",
    ),
    "mr": Phrases(
        apology="माफ करा, सध्या थोडी अडचण येत आहे. कृपया थोड्या वेळाने पुन्हा फोन करा.",
        no_input="तुम्ही लाईनवर आहात का?",
        farewell="फोन केल्याबद्दल धन्यवाद. नमस्कार.",
        busy="आमच्या सर्व लाईन सध्या व्यस्त आहेत. कृपया काही मिनिटांनी पुन्हा फोन करा.",
        hold="कृपया एक क्षण थांबा.",
    ),
    "ta": Phrases(
        apology="மன்னிக்கவும், தற்போது ஒரு சிக்கல் உள்ளது. சிறிது நேரம் கழித்து மீண்டும் அழைக்கவும்.",
        no_input="நீங்கள் இணைப்பில் இருக்கிறீர்களா?",
        farewell="அழைத்ததற்கு நன்றி. வணக்கம்.",
        busy="எங்கள் எல்லா இணைப்புகளும் பிஸியாக உள்ளன. சில நிமிடங்கள் கழித்து மீண்டும் அழைக்கவும்.",
        hold="தயவுசெய்து ஒரு நிமிடம் காத்திருங்கள்.",
    ),
    "te": Phrases(
        apology="క్షమించండి, ప్రస్తుతం ఒక సమస్య ఉంది. దయచేసి కాసేపటి తర్వాత మళ్ళీ కాల్ చేయండి.",
        no_input="మీరు లైన్‌లో ఉన్నారా?",
        farewell="కాల్ చేసినందుకు ధన్యవాదాలు. నమస్కారం.",
        busy="మా లైన్లన్నీ ప్రస్తుతం బిజీగా ఉన్నాయి. దయచేసి కొన్ని నిమిషాల తర్వాత మళ్ళీ కాల్ చేయండి.",
        hold="దయచేసి ఒక్క క్షణం ఆగండి.",
    ),
    "bn": Phrases(
        apology="দুঃখিত, এই মুহূর্তে একটু সমস্যা হচ্ছে। অনুগ্রহ করে কিছুক্ষণ পরে আবার ফোন করুন।",
        no_input="আপনি কি লাইনে আছেন?",
        farewell="ফোন করার জন্য ধন্যবাদ। নমস্কার।",
        busy="আমাদের সব লাইন এখন ব্যস্ত। অনুগ্রহ করে কয়েক মিনিট পরে আবার ফোন করুন।",
        hold="দয়া করে একটু অপেক্ষা করুন।",
    ),
    "gu": Phrases(
        apology="માફ કરશો, અત્યારે થોડી મુશ્કેલી છે. કૃપા કરીને થોડી વાર પછી ફરી ફોન કરો.",
        no_input="શું તમે લાઇન પર છો?",
        farewell="ફોન કરવા બદલ આભાર. નમસ્તે.",
        busy="અમારી બધી લાઇનો અત્યારે વ્યસ્ત છે. કૃપા કરીને થોડી મિનિટો પછી ફરી ફોન કરો.",
        hold="કૃપા કરીને એક ક્ષણ થોભો.",
    ),
    "kn": Phrases(
        apology="ಕ್ಷಮಿಸಿ, ಈಗ ಸ್ವಲ್ಪ ತೊಂದರೆ ಇದೆ. ದಯವಿಟ್ಟು ಸ್ವಲ್ಪ ಸಮಯದ ನಂತರ ಮತ್ತೆ ಕರೆ ಮಾಡಿ.",
        no_input="ನೀವು ಲೈನ್‌ನಲ್ಲಿದ್ದೀರಾ?",
        farewell="ಕರೆ ಮಾಡಿದ್ದಕ್ಕೆ ಧನ್ಯವಾದಗಳು. ನಮಸ್ಕಾರ.",
        busy="ನಮ್ಮ ಎಲ್ಲಾ ಲೈನ್‌ಗಳು ಈಗ ಕಾರ್ಯನಿರತವಾಗಿವೆ. ದಯವಿಟ್ಟು ಕೆಲವು ನಿಮಿಷಗಳ ನಂತರ ಮತ್ತೆ ಕರೆ ಮಾಡಿ.",
        hold="ದಯವಿಟ್ಟು ಒಂದು ಕ್ಷಣ ಕಾಯಿರಿ.",
    ),
    "ml": Phrases(
        apology="ക്ഷമിക്കണം, ഇപ്പോൾ ഒരു തടസ്സമുണ്ട്. ദയവായി അല്പസമയം കഴിഞ്ഞ് വീണ്ടും വിളിക്കുക.",
        no_input="നിങ്ങൾ ലൈനിൽ ഉണ്ടോ?",
        farewell="വിളിച്ചതിന് നന്ദി. നമസ്കാരം.",
        busy="ഞങ്ങളുടെ എല്ലാ ലൈനുകളും ഇപ്പോൾ തിരക്കിലാണ്. ദയവായി കുറച്ചു മിനിറ്റ് കഴിഞ്ഞ് വീണ്ടും വിളിക്കുക.",
        hold="ദയവായി ഒരു നിമിഷം കാത്തിരിക്കൂ.",
    ),
    "pa": Phrases(
        apology="ਮਾਫ਼ ਕਰਨਾ, ਇਸ ਵੇਲੇ ਕੁਝ ਮੁਸ਼ਕਲ ਆ ਰਹੀ ਹੈ। ਕਿਰਪਾ ਕਰਕੇ ਥੋੜ੍ਹੀ ਦੇਰ ਬਾਅਦ ਦੁਬਾਰਾ ਫ਼ੋਨ ਕਰੋ।",
        no_input="ਕੀ ਤੁਸੀਂ ਲਾਈਨ 'ਤੇ ਹੋ?",
        farewell="ਫ਼ੋਨ ਕਰਨ ਲਈ ਧੰਨਵਾਦ। ਸਤ ਸ੍ਰੀ ਅਕਾਲ।",
        busy="ਸਾਡੀਆਂ ਸਾਰੀਆਂ ਲਾਈਨਾਂ ਇਸ ਵੇਲੇ ਰੁੱਝੀਆਂ ਹੋਈਆਂ ਹਨ। ਕਿਰਪਾ ਕਰਕੇ ਕੁਝ ਮਿੰਟਾਂ ਬਾਅਦ ਦੁਬਾਰਾ ਫ਼ੋਨ ਕਰੋ।",
        hold="ਕਿਰਪਾ ਕਰਕੇ ਇੱਕ ਪਲ ਰੁਕੋ।",
    ),
    "or": Phrases(
        apology="କ୍ଷମା କରିବେ, ବର୍ତ୍ତମାନ କିଛି ଅସୁବିଧା ହେଉଛି। ଦୟାକରି କିଛି ସମୟ ପରେ ପୁଣି ଫୋନ କରନ୍ତୁ।",
        no_input="ଆପଣ ଲାଇନରେ ଅଛନ୍ତି କି?",
        farewell="ଫୋନ କରିଥିବାରୁ ଧନ୍ୟବାଦ। ନମସ୍କାର।",
        busy="ଆମର ସବୁ ଲାଇନ ବର୍ତ୍ତମାନ ବ୍ୟସ୍ତ ଅଛି। ଦୟାକରି କିଛି ମିନିଟ ପରେ ପୁଣି ଫୋନ କରନ୍ତୁ।",
        hold="ଦୟାକରି ଟିକିଏ ଅପେକ୍ଷା କରନ୍ତୁ।",
    ),
    "as": Phrases(
        apology="ক্ষমা কৰিব, এই মুহূৰ্তত কিছু অসুবিধা হৈছে। অনুগ্ৰহ কৰি অলপ পিছত আকৌ ফোন কৰক।",
        no_input="আপুনি লাইনত আছেনে?",
        farewell="ফোন কৰাৰ বাবে ধন্যবাদ। নমস্কাৰ।",
        busy="আমাৰ সকলো লাইন এতিয়া ব্যস্ত। অনুগ্ৰহ কৰি কেইমিনিটমান পিছত আকৌ ফোন কৰক।",
        hold="অনুগ্ৰহ কৰি অলপ ৰওক।",
    ),
    "ur": Phrases(
        apology="معاف کیجیے، اس وقت کچھ دشواری ہو رہی ہے۔ براہ کرم تھوڑی دیر بعد دوبارہ فون کریں۔",
        no_input="کیا آپ لائن پر ہیں؟",
        farewell="فون کرنے کا شکریہ۔ خدا حافظ۔",
        busy="ہماری تمام لائنیں اس وقت مصروف ہیں۔ براہ کرم چند منٹ بعد دوبارہ فون کریں۔",
        hold="براہ کرم ایک لمحہ رکیے۔",
    ),
    "ne": Phrases(
        apology="माफ गर्नुहोस्, अहिले केही समस्या भइरहेको छ। कृपया केही समयपछि फेरि फोन गर्नुहोस्।",
        no_input="तपाईं लाइनमा हुनुहुन्छ?",
        farewell="फोन गर्नुभएकोमा धन्यवाद। नमस्ते।",
        busy="हाम्रा सबै लाइन अहिले व्यस्त छन्। कृपया केही मिनेटपछि फेरि फोन गर्नुहोस्।",
        hold="कृपया एक छिन पर्खनुहोस्।",
    ),
}

#: Whose texts serve for a language without its own: in its script where one fits.
_STAND_INS: Mapping[str, str] = {
    "brx": "hi",
    "doi": "hi",
    "kok": "mr",
    "mai": "hi",
    "sa": "hi",
    "bhb": "hi",
    "ks": "ur",
    "sd": "ur",
    "mni": "en-IN",
    "sat": "hi",
}


def phrases_for(language: str) -> Phrases:
    """The default texts for a code of ``config.languages``."""
    return _PHRASES[_STAND_INS.get(language, language)]

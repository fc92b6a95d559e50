"""How numbers are said: tables by language, for :mod:`services.script.numbers`.

A line of a table holds the words for consecutive numbers; spelling variants are joined by
``/``. Sources: the numeral tables of the languages' school grammars; spellings as speech
recognisers return them, including English digits written in an Indian script.
"""

#: Words for 0, 1, 2, … of languages whose numbers up to 99 are words of their own.
_WHOLE: dict[str, str] = {
    "hi": """
        शून्य/ज़ीरो/सिफ़र एक दो तीन चार पाँच छह/छः/छे/छ/छै/छ: सात आठ नौ
        दस ग्यारह बारह तेरह चौदह पंद्रह/पन्द्रह सोलह सत्रह अठारह/अट्ठारह उन्नीस
        बीस इक्कीस बाईस/बाइस तेईस/तेइस चौबीस पच्चीस छब्बीस सत्ताईस/सत्ताइस
        अट्ठाईस/अट्ठाइस/अठाईस उनतीस/उन्तीस
        तीस इकतीस/इकत्तीस बत्तीस तैंतीस/तेंतीस चौंतीस/चौतीस पैंतीस छत्तीस सैंतीस अड़तीस
        उनतालीस/उन्तालीस
        चालीस इकतालीस बयालीस तैंतालीस/तेतालीस चौवालीस/चवालीस पैंतालीस छियालीस सैंतालीस अड़तालीस
        उनचास/उनंचास
        पचास इक्यावन बावन तिरपन/तिरेपन चौवन/चौअन पचपन छप्पन सत्तावन अट्ठावन/अठावन उनसठ
        साठ इकसठ बासठ तिरसठ/तिरेसठ चौंसठ/चौसठ पैंसठ छियासठ सड़सठ/सरसठ अड़सठ उनहत्तर
        सत्तर इकहत्तर बहत्तर तिहत्तर चौहत्तर पचहत्तर छिहत्तर सतहत्तर अठहत्तर उन्यासी/उनासी
        अस्सी इक्यासी बयासी तिरासी चौरासी पचासी छियासी सत्तासी अट्ठासी/अठासी नवासी
        नब्बे इक्यानवे/इक्यानबे बानवे/बानबे तिरानवे/तिरानबे चौरानवे/चौरानबे
        पंचानवे/पचानवे/पंचानबे छियानवे/छियानबे सत्तानवे/सत्तानबे
        अट्ठानवे/अठानवे/अट्ठानबे निन्यानवे/निन्यानबे
    """,
    "mr": """
        शून्य एक दोन तीन चार पाच सहा सात आठ नऊ
        दहा अकरा बारा तेरा चौदा पंधरा सोळा सतरा अठरा एकोणीस
        वीस एकवीस बावीस तेवीस चोवीस पंचवीस सव्वीस सत्तावीस अठ्ठावीस/अठावीस एकोणतीस
        तीस एकतीस बत्तीस तेहतीस चौतीस पस्तीस छत्तीस सदतीस अडतीस एकोणचाळीस
        चाळीस एक्केचाळीस बेचाळीस त्रेचाळीस चव्वेचाळीस पंचेचाळीस सेहेचाळीस/शेहेचाळीस
        सत्तेचाळीस अठ्ठेचाळीस एकोणपन्नास
        पन्नास एक्कावन बावन्न त्रेपन्न चोपन्न पंचावन्न छप्पन्न सत्तावन्न अठ्ठावन्न एकोणसाठ
        साठ एकसष्ट बासष्ट त्रेसष्ट चौसष्ट पासष्ट सहासष्ट सदुसष्ट अडुसष्ट एकोणसत्तर
        सत्तर एक्काहत्तर बाहत्तर त्र्याहत्तर चौऱ्याहत्तर पंच्याहत्तर शहात्तर सत्त्याहत्तर
        अठ्ठ्याहत्तर एकोणऐंशी
        ऐंशी एक्क्याऐंशी ब्याऐंशी त्र्याऐंशी चौऱ्याऐंशी पंच्याऐंशी शहाऐंशी सत्त्याऐंशी
        अठ्ठ्याऐंशी एकोणनव्वद
        नव्वद एक्क्याण्णव ब्याण्णव त्र्याण्णव चौऱ्याण्णव पंच्याण्णव शहाण्णव सत्त्याण्णव
        अठ्ठ्याण्णव नव्व्याण्णव
    """,
    "bn": """
        শূন্য/শুন্য এক দুই/দু তিন চার পাঁচ ছয়/ছ সাত আট নয়
        দশ এগারো/এগার বারো/বার তেরো/তের চোদ্দ/চৌদ্দ/চোদ্দো পনেরো/পনের ষোলো/ষোল সতেরো/সতের
        আঠারো/আঠার উনিশ
        বিশ/কুড়ি একুশ বাইশ তেইশ চব্বিশ পঁচিশ ছাব্বিশ সাতাশ আটাশ উনত্রিশ
        ত্রিশ/তিরিশ একত্রিশ বত্রিশ তেত্রিশ চৌত্রিশ পঁয়ত্রিশ ছত্রিশ সাঁইত্রিশ আটত্রিশ উনচল্লিশ
        চল্লিশ একচল্লিশ বিয়াল্লিশ তেতাল্লিশ চুয়াল্লিশ পঁয়তাল্লিশ ছেচল্লিশ সাতচল্লিশ
        আটচল্লিশ উনপঞ্চাশ
        পঞ্চাশ একান্ন বাহান্ন তিপ্পান্ন চুয়ান্ন পঞ্চান্ন ছাপ্পান্ন সাতান্ন আটান্ন উনষাট
        ষাট একষট্টি বাষট্টি তেষট্টি চৌষট্টি পঁয়ষট্টি ছেষট্টি সাতষট্টি আটষট্টি উনসত্তর
        সত্তর একাত্তর বাহাত্তর তিয়াত্তর চুয়াত্তর পঁচাত্তর ছিয়াত্তর সাতাত্তর আটাত্তর উনআশি
        আশি একাশি বিরাশি তিরাশি চুরাশি পঁচাশি ছিয়াশি সাতাশি আটাশি উননব্বই
        নব্বই একানব্বই বিরানব্বই তিরানব্বই চুরানব্বই পঁচানব্বই ছিয়ানব্বই সাতানব্বই
        আটানব্বই নিরানব্বই
    """,
    "gu": "શૂન્ય એક બે ત્રણ ચાર પાંચ છ સાત આઠ નવ દસ",
    "pa": "ਸਿਫ਼ਰ/ਜ਼ੀਰੋ ਇੱਕ/ਇਕ ਦੋ ਤਿੰਨ ਚਾਰ ਪੰਜ ਛੇ ਸੱਤ ਅੱਠ ਨੌਂ/ਨੌ ਦਸ",
    "or": "ଶୂନ/ଶୂନ୍ୟ ଏକ ଦୁଇ ତିନି ଚାରି ପାଞ୍ଚ ଛଅ ସାତ ଆଠ ନଅ ଦଶ",
    "as": "শূন্য এক দুই তিনি চাৰি পাঁচ ছয় সাত আঠ ন/নয় দহ",
    "ur": "صفر/زیرو ایک دو تین چار پانچ چھ/چھے سات آٹھ نو دس",
    "latin-hi": "shunya/zeero/jeero/sifar ek do teen/tin char/chaar paanch/panch "
    "chhe/chhah/chha/chhai saat aath nau das/dus",
    "latin-mr": "shunya ek don teen char pach/paach saha saat aath nau daha",
    "latin-bn": "shunyo ek dui tin char panch choy saat aat noy dosh",
    "latin-ta": "poojyam onnu/ondru rendu/irandu moonu/moondru naalu/naangu anju/aindhu aaru "
    "ezhu ettu ombathu/onbadhu pathu",
    "latin-te": "sunna okati rendu moodu naalugu aidu aaru edu enimidi tommidi padi",
    "english-deva": "ज़ीरो वन टू थ्री फ़ोर फ़ाइव/फाईव सिक्स सेवन/सेवेन एट नाइन/नाईन टेन",
    "english-beng": "জিরো ওয়ান টু থ্রি ফোর ফাইভ সিক্স সেভেন এইট নাইন টেন",
    "english-taml": "ஜீரோ ஒன் டூ த்ரீ/திரி ஃபோர்/போர் ஃபைவ்/பைவ் சிக்ஸ் செவன் எயிட்/எய்ட் நைன் டென்",
    "english-telu": "జీరో వన్ టూ త్రీ ఫోర్ ఫైవ్ సిక్స్ సెవెన్/సెవన్ ఎయిట్ నైన్ టెన్",
    "english-gujr": "ઝીરો વન ટુ થ્રી ફોર ફાઇવ સિક્સ સેવન એઇટ નાઇન ટેન",
    "english-knda": "ಜೀರೋ ಒನ್ ಟೂ ತ್ರೀ ಫೋರ್ ಫೈವ್ ಸಿಕ್ಸ್ ಸೆವೆನ್ ಎಯ್ಟ್ ನೈನ್ ಟೆನ್",
    "english-mlym": "സീറോ വൺ ടൂ ത്രീ ഫോർ ഫൈവ് സിക്സ് സെവൻ എയ്റ്റ് നയൻ ടെൻ",
}

#: Words for 0 to 19 and for the tens, of languages that say "twenty five" as two words.
_COMPOSED: dict[str, tuple[str, str]] = {
    "en": (
        "zero/oh/o/nought/nil one two three four five six seven eight nine ten eleven twelve "
        "thirteen fourteen fifteen sixteen seventeen eighteen nineteen",
        "twenty thirty forty/fourty fifty sixty seventy eighty ninety/ninty",
    ),
    "ta": (
        "பூஜ்ஜியம்/பூஜ்யம்/பூஜியம்/சுழியம் ஒன்று/ஒண்ணு/ஒன்னு இரண்டு/ரெண்டு மூன்று/மூணு நான்கு/நாலு "
        "ஐந்து/அஞ்சு ஆறு ஏழு எட்டு ஒன்பது/ஒம்பது பத்து பதினொன்று பன்னிரண்டு/பன்னெண்டு "
        "பதிமூன்று/பதிமூணு பதினான்கு/பதினாலு பதினைந்து/பதினஞ்சு பதினாறு பதினேழு பதினெட்டு "
        "பத்தொன்பது/பத்தொம்பது",
        "இருபது/இருபத்தி/இருபத்து முப்பது/முப்பத்தி/முப்பத்து நாற்பது/நாற்பத்தி/நாற்பத்து "
        "ஐம்பது/ஐம்பத்தி/ஐம்பத்து அறுபது/அறுபத்தி/அறுபத்து எழுபது/எழுபத்தி/எழுபத்து "
        "எண்பது/எண்பத்தி/எண்பத்து தொண்ணூறு/தொண்ணூற்றி",
    ),
    "te": (
        "సున్న/సున్నా ఒకటి/ఒక రెండు మూడు నాలుగు ఐదు/అయిదు ఆరు ఏడు ఎనిమిది తొమ్మిది పది పదకొండు "
        "పన్నెండు పదమూడు పద్నాలుగు/పధ్నాలుగు పదిహేను పదహారు పదిహేడు పద్దెనిమిది/పధ్ధెనిమిది "
        "పంతొమ్మిది/పందొమ్మిది",
        "ఇరవై ముప్పై/ముప్ఫై నలభై/నలబై యాభై/యాబై అరవై డెబ్బై/డెబ్భై ఎనభై/ఎనబై తొంభై/తొంబై",
    ),
    "kn": (
        "ಸೊನ್ನೆ/ಶೂನ್ಯ ಒಂದು ಎರಡು ಮೂರು ನಾಲ್ಕು ಐದು ಆರು ಏಳು ಎಂಟು ಒಂಬತ್ತು/ಒಂಭತ್ತು ಹತ್ತು",
        "ಇಪ್ಪತ್ತು ಮೂವತ್ತು ನಲವತ್ತು ಐವತ್ತು ಅರವತ್ತು ಎಪ್ಪತ್ತು ಎಂಬತ್ತು ತೊಂಬತ್ತು",
    ),
    "ml": (
        "പൂജ്യം ഒന്ന് രണ്ട് മൂന്ന് നാല് അഞ്ച് ആറ് ഏഴ് എട്ട് ഒമ്പത്/ഒൻപത് പത്ത്",
        "ഇരുപത് മുപ്പത് നാല്പത്/നാൽപത് അമ്പത് അറുപത് എഴുപത് എൺപത് തൊണ്ണൂറ്",
    ),
}

#: Words that stand behind a number and multiply it.
SCALES: dict[int, str] = {
    100: "hundred sau सौ शंभर शे শো শো একশো একশ நூறு நூற்றி వంద నూరు સો ਸੌ ನೂರು നൂറ് हंड्रेड",
    1_000: "thousand hazaar hazar hajar हज़ार हजार হাজার ஆயிரம் ஆயிரத்து వెయ్యి వేలు వేల હજાર ਹਜ਼ਾਰ "
    "ಸಾವಿರ ആയിരം थाउज़ेंड",
    100_000: "lakh lac lakhs लाख লাখ লক্ষ லட்சம் லட்சத்து లక్ష లక్షలు લાખ ਲੱਖ ಲಕ್ಷ ലക്ഷം",
    10_000_000: "crore crores करोड़ कोटी কোটি கோடி కోటి కోట్లు કરોડ ਕਰੋੜ ಕೋಟಿ കോടി",
}

#: Words that say the next digit two or three times.
REPEATS: dict[int, str] = {
    2: "double डबल ডাবল ডবল டபுள் డబుల్ ડબલ ਡਬਲ ಡಬಲ್ ഡബിൾ dabal",
    3: "triple treble ट्रिपल ট্রিপল ட்ரிபிள் ట్రిపుల్ ટ્રિપલ ਟ੍ਰਿਪਲ ಟ್ರಿಪಲ್ ട്രിപ്പിൾ",
}

#: Numbers with a fraction, as said in Hindi and Marathi.
FRACTIONS: dict[str, str] = {"1.5": "डेढ़ दीड dedh", "2.5": "ढाई अडीच dhai"}

POINTS = "point dot पॉइंट दशमलव পয়েন্ট দশমিক புள்ளி పాయింట్"

#: Words inside a dictated number that say nothing.
JOINERS = "and then aur phir और फिर आणि मग আর তারপর మరియు பிறகு"

#: Words around a number that do not make it a sentence about something else.
FILLERS = (
    "press option number choice please the is its it my i want say um uh yes haan ji dabaye "
    "नंबर विकल्प दबाएं दबाओ दबाइए दबाया दबाता दबाती बटन जी हां प्लीज है का की নম্বর எண் నంబర్"
)

#: Number words that are also common words: they count only beside another number, or alone.
AMBIGUOUS = (
    "o oh nil one do don das sat char teen tin edu padi pathu saha dus "
    "वन टू बार तेरा बारा छ सहा শ বার নয় ছ তের ন ஆறு ஒன் போர் ఆరు ఏడు ఒక પાંચ છ નવ બે "
    "ಆರು ಏಳು ആറ് दो सौ एक एट"
)


def whole_numbers() -> dict[str, int]:
    """Word to value, for words that never combine with a unit behind them."""
    words = {}
    for table in _WHOLE.values():
        words.update(_numbered(table, 0, 1))
    for units, _ in _COMPOSED.values():
        words.update(_numbered(units, 0, 1))
    return words


def composing_tens() -> dict[str, int]:
    """Word to value, for tens that take a unit behind them: twenty, thirty, …"""
    words = {}
    for _, tens in _COMPOSED.values():
        words.update(_numbered(tens, 20, 10))
    return words


def number_table(language: str) -> list[str]:
    """The first spelling of 0, 1, 2, … in a language whose numbers are words of their own."""
    return [variants.split("/")[0] for variants in _WHOLE[language].split()]


def _numbered(table: str, first: int, step: int) -> dict[str, int]:
    return {
        word: first + index * step
        for index, variants in enumerate(table.split())
        for word in variants.split("/")
    }
